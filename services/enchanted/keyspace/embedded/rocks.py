# SPDX-License-Identifier: Apache-2.0
"""The adapter of RocksDB, through ``rocksdict`` in raw mode.

In rocksdict 0.3.29 ``write`` with sync keeps the interpreter's lock during the fsync, which stops every other
thread; ``flush_wal(True)`` after an unsynced write does the same ``fdatasync`` without it. ADR 3 has the
figures.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import rocksdict

from enchanted.keyspace.embedded.record_log import find_damage
from enchanted.keyspace.embedded.rocks_views import Anchor, RocksView
from enchanted.keyspace.embedded.store import Change, Pair

META_FAMILY: Final = "enchanted.meta"
DEFAULT_FAMILY: Final = "default"
BLOCK_CACHE_BYTES: Final = 64 << 20
WRITE_BUFFER_BYTES: Final = 32 << 20
WAL_BYTES_MAX: Final = 128 << 20
# Every opening reads the MANIFEST to its end; a longer one is replaced by a new one.
MANIFEST_BYTES_MAX: Final = 256 << 10
BACKGROUND_JOBS: Final = 2
ANCHOR_AGE_SECONDS: Final = 0.02
ANCHOR_CHANGES_MAX: Final = 512
# A cleared range with at most this many keys is removed key by key: range tombstones slow every later scan.
POINT_CLEARS_MAX: Final = 128

_NO_SPACE: Final = "No space left on device"


def _options(*, cache: rocksdict.Cache | None) -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(True)
    tables = rocksdict.BlockBasedOptions()
    tables.set_checksum_type(rocksdict.ChecksumType.xxh3())
    tables.set_format_version(6)
    tables.set_block_size(8 << 10)
    tables.set_bloom_filter(10, block_based=False)
    if cache is None:
        tables.disable_cache()
    else:
        tables.set_block_cache(cache)
    options.set_block_based_table_factory(tables)
    return options


def database_options(*, create: bool, cache: rocksdict.Cache | None) -> rocksdict.Options:
    """Return the options of the whole database, which are also those of its default column family."""
    options = _options(cache=cache)
    options.create_if_missing(create)
    options.create_missing_column_families(create)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.tolerate_corrupted_tail_records())
    options.set_max_background_jobs(BACKGROUND_JOBS)
    options.set_max_open_files(512)
    options.set_max_total_wal_size(WAL_BYTES_MAX)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    options.set_max_manifest_file_size(MANIFEST_BYTES_MAX)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    return options


def open_raw(
    folder: Path,
    access: rocksdict.AccessType,
    *,
    create: bool,
    cache: rocksdict.Cache | None,
    log_folder: Path | None = None,
) -> rocksdict.Rdict:
    """Open the RocksDB database in ``folder``.

    Args:
        folder: Its files.
        access: How to open it.
        create: Whether to make it if it is not there.
        cache: The cache of blocks, None to read every block from the disk.
        log_folder: Where RocksDB's own messages go, if not beside its files.

    Raises:
        ValueError: A log has damage that RocksDB would not report.
        Exception: Whatever RocksDB reports, as text.
    """
    damage = find_damage(folder) if folder.exists() else None
    if damage is not None:
        raise ValueError(str(damage))
    options = database_options(create=create, cache=cache)
    if log_folder is not None:
        options.set_db_log_dir(str(log_folder))
    return rocksdict.Rdict(
        str(folder),
        options,
        column_families={META_FAMILY: _options(cache=cache)},
        access_type=access,
    )


def _os_error(error: Exception) -> OSError:
    text = str(error)
    return OSError(errno.ENOSPC if _NO_SPACE in text else errno.EIO, text)


class RocksStore:
    """The data of one folder.

    Args:
        folder: Where RocksDB keeps its files.
        create: True when the folder is new; a folder that should have data is never made anew.
        monotonic: A clock in seconds that never goes back, for the age of anchors.

    Raises:
        Exception: Whatever RocksDB reports at opening, as text.
    """

    def __init__(self, folder: Path, *, create: bool, monotonic: Callable[[], float]) -> None:
        self._cache = rocksdict.Cache(BLOCK_CACHE_BYTES)
        self._db: rocksdict.Rdict | None = open_raw(
            folder, rocksdict.AccessType.read_write(), create=create, cache=self._cache
        )
        self._meta: rocksdict.Rdict | None = self._db.get_column_family(META_FAMILY)
        self._meta_handle: rocksdict.ColumnFamily | None = self._db.get_column_family_handle(META_FAMILY)
        self._monotonic = monotonic
        self._anchor = self._new_anchor()

    def read_meta(self, name: bytes) -> bytes | None:
        """Return a value of the engine's own.

        Raises:
            OSError: It cannot be read.
        """
        assert self._meta is not None
        try:
            value: bytes | None = self._meta.get(name)
        except Exception as error:
            raise _os_error(error) from error
        return value

    def write(self, clears: Iterable[Pair], changes: Iterable[Change], meta: Iterable[Pair]) -> None:
        """Apply a batch, not yet durable.

        Raises:
            OSError: The batch was not applied.
        """
        assert self._db is not None
        batch = rocksdict.WriteBatch(raw_mode=True)
        anchor = self._anchor
        for begin, end in clears:
            self._clear(batch, begin, end)
            anchor.clears.append((begin, end))
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
            anchor.changes.append(key)
        for name, value in meta:
            batch.put(name, value, self._meta_handle)
        try:
            self._db.write(batch)
        except Exception as error:
            raise _os_error(error) from error

    def sync(self) -> None:
        """Make everything written durable; other threads run meanwhile.

        Raises:
            OSError: It may or may not be durable.
        """
        assert self._db is not None
        try:
            self._db.flush_wal(True)  # noqa: FBT003 - the library's only form
        except Exception as error:
            raise _os_error(error) from error

    def view(self) -> RocksView:
        """Return the state as of the last write."""
        assert self._db is not None
        anchor = self._anchor
        stale = self._monotonic() - anchor.made_seconds >= ANCHOR_AGE_SECONDS
        if (stale and (anchor.changes or anchor.clears)) or len(anchor.changes) > ANCHOR_CHANGES_MAX:
            self._anchor = anchor = self._new_anchor()
        return RocksView(self._db.snapshot(), anchor)

    def size_bytes(self) -> int:
        """Return the bytes of table files and write buffers."""
        assert self._db is not None
        names = ("rocksdb.live-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        return sum(self._db.property_int_value(name) or 0 for name in names)

    def close(self) -> None:
        """Bring the write buffers into table files and release the folder.

        Afterwards the log is empty, so that what a closed folder holds is under the tables' checksums.
        """
        db, self._db = self._db, None
        if db is None:
            return
        self._anchor.iterator = None
        meta, self._meta, self._meta_handle = self._meta, None, None
        families = [db] if meta is None else [meta, db]
        # A damaged table fails the flush, and rocksdict's close, which flushes too; all are closed anyway.
        problems: list[Exception] = []
        for step in (*(family.flush for family in families), *(family.close for family in families)):
            try:
                step()
            except Exception as error:  # noqa: BLE001 - rocksdict raises plain exceptions
                problems.append(error)
        if problems:
            raise _os_error(problems[0]) from problems[0]

    def _new_anchor(self) -> Anchor:
        assert self._db is not None
        return Anchor(self._db.iter(), self._monotonic())

    def _clear(self, batch: rocksdict.WriteBatch, begin: bytes, end: bytes) -> None:
        assert self._db is not None
        iterator = self._db.iter()
        iterator.seek(begin)
        keys: list[bytes] = []
        while iterator.valid():
            key: bytes = iterator.key()
            if key >= end:
                break
            keys.append(key)
            if len(keys) > POINT_CLEARS_MAX:
                batch.delete_range(begin, end)
                return
            iterator.next()
        try:
            iterator.status()
        except Exception as error:
            raise _os_error(error) from error
        for key in keys:
            batch.delete(key)
