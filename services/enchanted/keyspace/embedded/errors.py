# SPDX-License-Identifier: Apache-2.0
"""Error codes of FoundationDB's API, and the engine's own errors about folders.

Applications decide by code: whether to retry, whether a commit may have happened, what to print. A wrong
code or predicate turns a harmless conflict into a crash, or a failure into an endless retry, so the codes,
official descriptions and predicates stand here once, as facts of API 730 (source: FoundationDB 7.3's
``flow/error_definitions.h`` and ``fdb_error_predicate``).

Two families that never mix::

    FDBError            what a transaction can answer; code and official description
    EngineError       what opening a database can answer; text for a person
      BadURLError            the URL does not name an embedded database
      BindingLoadedError     the official binding was loaded first
      FolderError       fields: folder
        FolderInUseError       another process owns it; field: pid
        FolderTooNewError      written by a newer release
        FolderDamagedError     its files do not check; field: detail
        FolderUnusableError    missing permission, no space, not a folder
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUCCESS: Final = 0
TRANSACTION_TOO_OLD: Final = 1007
FUTURE_VERSION: Final = 1009
NOT_COMMITTED: Final = 1020
COMMIT_UNKNOWN_RESULT: Final = 1021
TRANSACTION_CANCELLED: Final = 1025
TRANSACTION_TIMED_OUT: Final = 1031
TOO_MANY_WATCHES: Final = 1032
WATCHES_DISABLED: Final = 1034
ACCESSED_UNREADABLE: Final = 1036
PROCESS_BEHIND: Final = 1037
DATABASE_LOCKED: Final = 1038
CLUSTER_VERSION_CHANGED: Final = 1039
COMMIT_PROXY_MEMORY_LIMIT_EXCEEDED: Final = 1042
SHUTDOWN_IN_PROGRESS: Final = 1043
BATCH_TRANSACTION_THROTTLED: Final = 1051
GRV_PROXY_MEMORY_LIMIT_EXCEEDED: Final = 1078
BLOB_GRANULE_REQUEST_FAILED: Final = 1079
OPERATION_CANCELLED: Final = 1101
TAG_THROTTLED: Final = 1213
PROXY_TAG_THROTTLED: Final = 1223
TRANSACTION_THROTTLED_HOT_SHARD: Final = 1235
IO_ERROR: Final = 1510
CLIENT_INVALID_OPERATION: Final = 2000
KEY_OUTSIDE_LEGAL_RANGE: Final = 2004
INVERTED_RANGE: Final = 2005
INVALID_OPTION_VALUE: Final = 2006
INVALID_OPTION: Final = 2007
READ_VERSION_ALREADY_SET: Final = 2010
VERSION_INVALID: Final = 2011
RANGE_LIMITS_INVALID: Final = 2012
INVALID_DATABASE_NAME: Final = 2013
USED_DURING_COMMIT: Final = 2017
INVALID_MUTATION_TYPE: Final = 2018
TRANSACTION_INVALID_VERSION: Final = 2020
NO_COMMIT_VERSION: Final = 2021
TRANSACTION_TOO_LARGE: Final = 2101
KEY_TOO_LARGE: Final = 2102
VALUE_TOO_LARGE: Final = 2103
TOO_MANY_TAGS: Final = 2109
TAG_TOO_LONG: Final = 2110
SPECIAL_KEYS_CROSS_MODULE_READ: Final = 2112
SPECIAL_KEYS_NO_MODULE_FOUND: Final = 2113
SPECIAL_KEYS_WRITE_DISABLED: Final = 2114
SPECIAL_KEYS_NO_WRITE_MODULE_FOUND: Final = 2115
TENANTS_DISABLED: Final = 2136
API_VERSION_NOT_SUPPORTED: Final = 2203
EXACT_MODE_WITHOUT_LIMITS: Final = 2210

DESCRIPTIONS: Final[dict[int, str]] = {
    SUCCESS: "Success",
    1: "End of stream",
    1000: "Operation failed",
    1004: "Operation timed out",
    TRANSACTION_TOO_OLD: "Transaction is too old to perform reads or be committed",
    FUTURE_VERSION: "Request for future version",
    NOT_COMMITTED: "Transaction not committed due to conflict with another transaction",
    COMMIT_UNKNOWN_RESULT: "Transaction may or may not have committed",
    1022: (
        "Idempotency id for transaction may have expired, so the commit status of the transaction cannot be"
        " determined"
    ),
    TRANSACTION_CANCELLED: "Operation aborted because the transaction was cancelled",
    1026: "Network connection failed",
    1027: "Coordination servers have changed",
    1028: "New coordination servers did not respond in a timely way",
    1029: "Watch cancelled because storage server watch limit exceeded",
    1030: "Request may or may not have been delivered",
    TRANSACTION_TIMED_OUT: "Operation aborted because the transaction timed out",
    TOO_MANY_WATCHES: "Too many watches currently set",
    1033: "Locality information not available",
    WATCHES_DISABLED: "Watches cannot be set if read your writes is disabled",
    1035: "Default error for an ErrorOr object",
    ACCESSED_UNREADABLE: "Read or wrote an unreadable key",
    PROCESS_BEHIND: "Storage process does not have recent mutations",
    DATABASE_LOCKED: "Database is locked",
    CLUSTER_VERSION_CHANGED: "The protocol version of the cluster has changed",
    1040: "External client has already been loaded",
    1041: "DNS lookup failed",
    COMMIT_PROXY_MEMORY_LIMIT_EXCEEDED: "CommitProxy commit memory limit exceeded",
    SHUTDOWN_IN_PROGRESS: "Operation no longer supported due to shutdown",
    1044: "Failed to deserialize an object",
    1048: "No peer references for connection",
    1049: "Connection closed after idle timeout",
    BATCH_TRANSACTION_THROTTLED: "Batch GRV request rate limit exceeded",
    GRV_PROXY_MEMORY_LIMIT_EXCEEDED: "GetReadVersion proxy memory limit exceeded",
    BLOB_GRANULE_REQUEST_FAILED: "BlobGranule request failed",
    1100: "Broken promise",
    OPERATION_CANCELLED: "Asynchronous operation cancelled",
    1102: "Future has been released",
    1103: "Connection object leaked",
    1104: "Never reply to the request",
    1105: "Retry operation",
    1200: "Recruitment of a server failed",
    1201: "Attempt to move keys to a storage server that was removed",
    1202: "Normal worker shut down",
    1203: "Cluster recovery failed",
    1204: "Master hit maximum number of versions in flight",
    1207: "Reboot of server process requested",
    1209: "Master terminating because a CommitProxy failed",
    1211: "Server is under too much load and cannot respond",
    TAG_THROTTLED: "Transaction tag is being throttled",
    PROXY_TAG_THROTTLED: "Exceeded maximum proxy tag throttling duration",
    1225: "Exceeded the maximum storage quota allocated to the tenant.",
    TRANSACTION_THROTTLED_HOT_SHARD: "Transaction throttled due to hot shard",
    1500: "Platform error",
    1501: "Large block allocation failed",
    1502: "QueryPerformanceCounter error",
    1503: "Null allocator was used to allocate memory",
    IO_ERROR: "Disk i/o operation failed",
    1511: "File not found",
    1512: "Unable to bind to network",
    1513: "File could not be read",
    1514: "File could not be written",
    1515: "No cluster file found in current directory or default location",
    1516: "File too large to be read",
    1517: "Non sequential file operation not allowed",
    1520: "A data checksum failed",
    1521: "A disk IO operation failed to complete in a timely manner",
    1522: "A structurally corrupt data file was detected",
    1529: "Unable to lock the file",
    CLIENT_INVALID_OPERATION: "Invalid API call",
    2002: "Commit with incomplete read",
    2003: "Invalid test specification",
    KEY_OUTSIDE_LEGAL_RANGE: "Key outside legal range",
    INVERTED_RANGE: "Range begin key larger than end key",
    INVALID_OPTION_VALUE: "Option set with an invalid value",
    INVALID_OPTION: "Option not valid in this context",
    2008: "Action not possible before the network is configured",
    2009: "Network can be configured only once",
    READ_VERSION_ALREADY_SET: "Transaction already has a read version set",
    VERSION_INVALID: "Version not valid",
    RANGE_LIMITS_INVALID: "Range limits not valid",
    INVALID_DATABASE_NAME: "Database name must be 'DB'",
    2014: "Attribute not found",
    2015: "Future not ready",
    2016: "Future not an error",
    USED_DURING_COMMIT: "Operation issued while a commit was outstanding",
    INVALID_MUTATION_TYPE: "Unrecognized atomic mutation type",
    2019: "Attribute too large for type int",
    TRANSACTION_INVALID_VERSION: "Transaction does not have a valid commit version",
    NO_COMMIT_VERSION: "Transaction is read-only and therefore does not have a commit version",
    2022: "Environment variable network option could not be set",
    2023: "Attempted to commit a transaction specified as read-only",
    2024: "Invalid cache eviction policy, only random and lru are supported",
    2025: "Network can only be started once",
    2026: "Detected a deadlock in a callback called from the network thread",
    2100: "Incompatible protocol version",
    TRANSACTION_TOO_LARGE: "Transaction exceeds byte limit",
    KEY_TOO_LARGE: "Key length exceeds limit",
    VALUE_TOO_LARGE: "Value length exceeds limit",
    2104: "Connection string invalid",
    2105: "Local address in use",
    2106: "Invalid local address",
    2107: "TLS error",
    2108: "Operation is not supported",
    TOO_MANY_TAGS: "Too many tags set on transaction",
    TAG_TOO_LONG: "Tag set on transaction is too long",
    2111: "Too many tag throttles have been created",
    SPECIAL_KEYS_CROSS_MODULE_READ: (
        "Special key space range read crosses modules. Refer to the `special_key_space_relaxed' transaction"
        " option for more details."
    ),
    SPECIAL_KEYS_NO_MODULE_FOUND: (
        "Special key space range read does not intersect a module. Refer to the `special_key_space_relaxed'"
        " transaction option for more details."
    ),
    SPECIAL_KEYS_WRITE_DISABLED: (
        "Special Key space is not allowed to write by default. Refer to the `special_key_space_enable_writes`"
        " transaction option for more details."
    ),
    SPECIAL_KEYS_NO_WRITE_MODULE_FOUND: (
        "Special key space key or keyrange in set or clear does not intersect a module"
    ),
    2116: "Special key space clear crosses modules",
    2117: (
        "Api call through special keys failed. For more information, call get on special key"
        " 0xff0xff/error_message to get a json string of the error message."
    ),
    2123: "No external client library provided.",
    2124: "All external clients have failed.",
    2125: "None of the available clients match the protocol version of the cluster.",
    2130: "Tenant name must be specified to access data in the cluster",
    2131: "Tenant does not exist",
    2132: "A tenant with the given name already exists",
    2133: "Cannot delete a non-empty tenant",
    2134: "Tenant name cannot begin with \\xff",
    2135: "The database already has keys stored at the prefix allocated for the tenant",
    TENANTS_DISABLED: "Tenants have been disabled in the cluster",
    2138: "Illegal tenant access",
    2139: "Tenant group name cannot begin with \\xff",
    2140: "Tenant configuration is invalid",
    2142: "The tenant was removed",
    2144: "Tenant is locked",
    2200: "API version is not set",
    2201: "API version may be set only once",
    2202: "API version not valid",
    API_VERSION_NOT_SUPPORTED: "API version not supported",
    2204: "Failed to load a required FDB API function.",
    EXACT_MODE_WITHOUT_LIMITS: "EXACT streaming mode requires limits, but none were given",
    2250: "Unrecognized data type in packed tuple",
    2251: "Tuple does not have element at specified index",
    2252: "Cannot unpack key that is not in subspace",
    2253: "Cannot specify a prefix unless manual prefixes are enabled",
    2254: "Cannot specify a prefix in a partition",
    2255: "Root directory cannot be opened",
    2256: "Directory already exists",
    2257: "Directory does not exist",
    2258: "Directory's parent does not exist",
    2259: "Directory has already been created with a different layer string",
    2260: "Invalid directory layer metadata",
    2261: "Directory cannot be moved between partitions",
    2262: "Directory partition cannot be used as subspace",
    2263: "Directory layer was created with an incompatible version",
    2264: "Database has keys stored at the prefix chosen by the automatic prefix allocator",
    2265: "Directory layer already has a conflicting prefix",
    2266: "Target directory is invalid",
    2267: "Root directory cannot be modified",
    2268: "UUID is not sixteen bytes",
    2269: "Versionstamp is not exactly twelve bytes",
    4000: "An unknown error occurred",
    4100: "An internal error occurred",
    4200: "Not implemented yet",
    6000: "Client tried to access unauthorized data",
    6001: "A untrusted client tried to send a message to a private endpoint",
}
UNKNOWN_DESCRIPTION: Final = "UNKNOWN_ERROR"

PREDICATE_RETRYABLE: Final = 50000
PREDICATE_MAYBE_COMMITTED: Final = 50001
PREDICATE_RETRYABLE_NOT_COMMITTED: Final = 50002

_MAYBE_COMMITTED: Final = frozenset({COMMIT_UNKNOWN_RESULT, CLUSTER_VERSION_CHANGED})
_RETRYABLE_NOT_COMMITTED: Final = frozenset(
    {
        NOT_COMMITTED,
        TRANSACTION_TOO_OLD,
        FUTURE_VERSION,
        DATABASE_LOCKED,
        GRV_PROXY_MEMORY_LIMIT_EXCEEDED,
        COMMIT_PROXY_MEMORY_LIMIT_EXCEEDED,
        TRANSACTION_THROTTLED_HOT_SHARD,
        BATCH_TRANSACTION_THROTTLED,
        PROCESS_BEHIND,
        TAG_THROTTLED,
        PROXY_TAG_THROTTLED,
    }
)
_PREDICATES: Final = {
    PREDICATE_RETRYABLE: _MAYBE_COMMITTED | _RETRYABLE_NOT_COMMITTED,
    PREDICATE_MAYBE_COMMITTED: _MAYBE_COMMITTED,
    PREDICATE_RETRYABLE_NOT_COMMITTED: _RETRYABLE_NOT_COMMITTED,
}


def description(code: int) -> str:
    """Return the official description of ``code``; codes the API does not have get ``UNKNOWN_ERROR``."""
    return DESCRIPTIONS.get(code, UNKNOWN_DESCRIPTION)


def error_predicate(predicate: int, code: int) -> bool:
    """Tell whether ``code`` has the property ``predicate``, 50000 to 50002; others hold never."""
    return code in _PREDICATES.get(predicate, frozenset())


class FDBError(Exception):
    """An error of the FoundationDB API.

    Args:
        code: The error's number, what programs compare.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        self._description: bytes | None = None

    @property
    def description(self) -> bytes:
        """The official text, as bytes: that is what the official binding answers under Python 3."""
        if self._description is None:
            self._description = description(self.code).encode()
        return self._description

    def __str__(self) -> str:
        return f"{self.description!r} ({self.code})"

    def __repr__(self) -> str:
        return f"FDBError({self.code})"


class EngineError(Exception):
    """Base of what opening or checking an embedded database can answer."""


class BadURLError(EngineError):
    """The text given to ``open`` does not name an embedded database."""


class BindingLoadedError(EngineError):
    """``install()`` came after the official binding had been loaded."""


class FolderError(EngineError):
    """A folder cannot serve as a database.

    Args:
        message: What is wrong and what to do, for a person.
        folder: The folder asked for.
    """

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(f"{message} (folder: {folder})")
        self.folder = folder


class FolderInUseError(FolderError):
    """Another process owns the folder; ``pid`` is its number, or None when it could not be read."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"the database folder is in use by {owner}: stop it or connect to it", folder)
        self.pid = pid


class FolderTooNewError(FolderError):
    """The folder was written by a newer release than this one."""


class FolderDamagedError(FolderError):
    """The folder's files do not check; ``detail`` names the file as the storage engine reported it."""

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(
            f"the database folder is damaged: {detail}; restore it from a backup, and keep a copy of the"
            " damaged folder for examination",
            folder,
        )
        self.detail = detail


class FolderUnusableError(FolderError):
    """The folder cannot be read or written: permission, space, or it is not a folder."""
