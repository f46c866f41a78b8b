# SPDX-License-Identifier: Apache-2.0
"""The small values of the binding: keys, values, selectors, pairs and names, as programs pass them.

Programs pass subspaces, futures and text where bytes are meant. The conversions are the official binding's,
so that what is refused there with a TypeError is refused here, with that text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from fdb.tuple import pack

from enchanted.keyspace.embedded.futures import FutureString
from enchanted.keyspace.embedded.selectors import Selector


def keyToBytes(k: Any) -> bytes:  # noqa: N802 - the binding's name
    """Return a key as bytes.

    Raises:
        TypeError: It is neither bytes nor an object with ``as_foundationdb_key``.
    """
    if hasattr(k, "as_foundationdb_key"):
        k = k.as_foundationdb_key()
    if not isinstance(k, bytes):
        raise TypeError("Key must be of type bytes")
    return k


def valueToBytes(v: Any) -> bytes:  # noqa: N802 - the binding's name
    """Return a value as bytes.

    Raises:
        TypeError: It is neither bytes nor an object with ``as_foundationdb_value``.
    """
    if hasattr(v, "as_foundationdb_value"):
        v = v.as_foundationdb_value()
    if not isinstance(v, bytes):
        raise TypeError("Value must be of type bytes")
    return v


class KeyValue:
    """A key and its value; unpacks like a pair."""

    __slots__ = ("key", "value")

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key = key
        self.value = value

    def __repr__(self) -> str:
        return f"{self.key!r}: {self.value!r}"

    def __iter__(self) -> Iterator[bytes]:
        return iter((self.key, self.value))


class KeySelector:
    """Names a key by its place in the order of keys that exist.

    Args:
        key: Where to start.
        or_equal: Whether ``key`` itself counts as lying before the start.
        offset: How many existing keys to go on from there; 1 is the first after the start.
    """

    def __init__(self, key: Any, or_equal: bool, offset: int) -> None:  # noqa: FBT001 - the binding's form
        self.key = key
        self.or_equal = or_equal
        self.offset = offset

    def __add__(self, offset: int) -> KeySelector:
        return KeySelector(self.key, self.or_equal, self.offset + offset)

    def __sub__(self, offset: int) -> KeySelector:
        return KeySelector(self.key, self.or_equal, self.offset - offset)

    @classmethod
    def last_less_than(cls, key: Any) -> Self:
        """Select the last existing key before ``key``."""
        return cls(key, False, 0)  # noqa: FBT003 - the binding's form

    @classmethod
    def last_less_or_equal(cls, key: Any) -> Self:
        """Select ``key`` if it exists, otherwise the last before it."""
        return cls(key, True, 0)  # noqa: FBT003 - the binding's form

    @classmethod
    def first_greater_than(cls, key: Any) -> Self:
        """Select the first existing key after ``key``."""
        return cls(key, True, 1)  # noqa: FBT003 - the binding's form

    @classmethod
    def first_greater_or_equal(cls, key: Any) -> Self:
        """Select ``key`` if it exists, otherwise the first after it."""
        return cls(key, False, 1)  # noqa: FBT003 - the binding's form

    def __repr__(self) -> str:
        return f"KeySelector({self.key!r}, {self.or_equal!r}, {self.offset!r})"


def selector_of(selector: KeySelector) -> Selector:
    """Return a selector in the engine's form."""
    return Selector.normal(keyToBytes(selector.key), or_equal=bool(selector.or_equal), offset=selector.offset)


def process_tenant_name(name: Any) -> bytes:
    """Return a tenant's name as bytes; a tuple is packed.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(name, tuple):
        packed: bytes = pack(name)
        return packed
    if isinstance(name, bytes):
        return name
    raise TypeError("Tenant name must be of type bytes or of type tuple")


def optional_parameter(value: Any) -> bytes | None:
    """Return an option's text as bytes, None when there is none.

    Raises:
        TypeError: It is neither text nor bytes.
    """
    if value is None:
        return None
    if isinstance(value, FutureString):
        value = value.value
    if not isinstance(value, bytes) and hasattr(value, "encode"):
        value = value.encode("utf8")
    if not isinstance(value, bytes):
        raise TypeError("Parameter must be a string")
    return value
