# SPDX-License-Identifier: Apache-2.0
"""What a person may import from: an address or a folder, and how either is named and shown. Pure.

Addresses carry passwords, and errors carry addresses; what is stored or shown goes through here first.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

_SCHEMES: Final = frozenset({"https", "http", "ssh", "git", "file"})
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HELPER: Final = re.compile(r"[A-Za-z0-9]+::")
# As Git has it: a host, a colon and a path, with no slash before the colon.
_SCP_LIKE: Final = re.compile(r"(?:(?P<user>[^/@:]+)@)?(?P<host>[^/:@]{2,}):(?P<path>[^/].*|/[^/].*)")
# Not an address that Git takes, but what a person may write who expects it to be one.
_PASSWORD: Final = re.compile(r"[^/@:]+:[^/@]*@")
_NOT_IN_NAME: Final = re.compile(r"[^a-z0-9._-]+")
_NAME_CHARACTERS_MAX: Final = 63
_DEFAULT_NAME: Final = "project"
_HIDDEN: Final = "***"


def is_address(source: str) -> bool:
    """Whether a text is the address of a repository rather than a folder's path."""
    return bool(_SCHEME.match(source) or _HELPER.match(source) or _SCP_LIKE.fullmatch(source))


def address_fault(address: str) -> str:
    """Why an address cannot be cloned; empty if it can."""
    if _HELPER.match(address):
        return "addresses that name a program of Git are not taken"
    if not _SCHEME.match(address):
        return "it holds a password where no address has one" if _PASSWORD.match(address) else ""
    parts = _split(address)
    if parts is None:
        return "it cannot be read as an address; look at its host and port"
    if parts.scheme.lower() not in _SCHEMES:
        return "its address begins with something else than https, http, ssh, git or file"
    if parts.scheme.lower() != "file" and not parts.hostname:
        return "its address names no host"
    return "its address names a host that begins with '-'" if (parts.hostname or "").startswith("-") else ""


def without_credentials(address: str) -> str:
    """The address as it may be stored and shown: no password, no query; a user's name only for ssh."""
    if not _SCHEME.match(address):
        return address.rpartition("@")[2] if _PASSWORD.match(address) else address
    parts = _split(address)
    if parts is None:
        scheme, _, rest = address.partition("://")
        return f"{scheme}://{_HIDDEN if '@' in rest else re.split('[?#]', rest, maxsplit=1)[0]}"
    host = parts.netloc.rpartition("@")[2]
    user = parts.username if parts.scheme.lower() == "ssh" and parts.username else ""
    shown = SplitResult(parts.scheme, f"{user}@{host}" if user else host, parts.path, "", "")
    return urlunsplit(shown)


def redacted(text: str, address: str) -> str:
    """A line of Git's with the credentials of an address taken out, however they are spelled in it."""
    text = text.replace(address, without_credentials(address))
    if not _SCHEME.match(address):
        return text
    parts = _split(address)
    if parts is None:
        return text
    user = parts.username if parts.scheme.lower() != "ssh" else ""
    secrets = (parts.netloc.rpartition("@")[0], parts.password, parts.query, parts.fragment, user)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def name_of(source: str) -> str:
    """A project's name made from the last part of an address or path."""
    parts = _split(source) if _SCHEME.match(source) else None
    path = parts.path if parts else source
    last = re.split(r"[/:\\]", path.rstrip("/\\"))[-1].lower().removesuffix(".git")
    name = _NOT_IN_NAME.sub("-", last).lstrip("._-").rstrip("-")[:_NAME_CHARACTERS_MAX]
    name = name.removeprefix("prj_").removesuffix(".git").strip("._-")
    return name or _DEFAULT_NAME


def _split(address: str) -> SplitResult | None:
    """The parts of an address with a scheme; ``None`` if it cannot be read."""
    try:
        parts = urlsplit(address)
        # The start of a password with a '?' in it stands where the port is, and is no number.
        has_port = parts.port != 0
    except ValueError:
        return None
    return parts if has_port else None
