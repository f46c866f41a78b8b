# SPDX-License-Identifier: Apache-2.0
"""The binding's option objects and enumerations, made from its own table ``fdb.fdboptions``.

The names come from the installed package instead of a copy, so that a program finds every ``set_*`` that its
version of the package documents, with that text, and none that it has not.
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Callable
from typing import Any

from fdb import fdboptions

from enchanted.keyspace.embedded.errors import error_predicate

OptionTable = dict[str, tuple[int, str, type, str | None]]


class _Options:
    """Holds the ``set_*`` methods of one scope.

    Args:
        parent: What the options are set on; not kept alive by its options.
    """

    def __init__(self, parent: Any) -> None:
        self._parent: Any = weakref.proxy(parent)


class NetworkOptions(_Options):
    """Options of the process; an embedded engine has no network and accepts them without effect."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self._parent = parent


class DatabaseOptions(_Options):
    """Options of a database."""


class TransactionOptions(_Options):
    """Options of a transaction."""


class ErrorPredicates:
    """Tells what kind of error an FDBError is: ``is_retryable`` and the like.

    Args:
        parent: Kept for the binding's form; predicates depend on nothing but the error.
    """

    def __init__(self, parent: Any) -> None:
        self._parent = parent


def _encoded(parameter: Any, kind: type) -> bytes | None:
    """Return an option's parameter in the C API's form.

    Raises:
        TypeError: It is not of the option's type.
    """
    if kind is int:
        return struct.pack("<q", parameter)
    if parameter is None:
        return None
    value = getattr(parameter, "value", parameter) if not isinstance(parameter, str) else parameter
    if kind is str and isinstance(value, str):
        return value.encode("utf8")
    if isinstance(value, bytes):
        return value
    wanted = "Parameter must be a string" if kind is str else "Value must be of type bytes"
    raise TypeError(wanted)


def _setter(code: int, kind: type) -> Callable[..., None]:
    def flag(self: Any) -> None:
        self._parent._set_option(code, None, 0)  # noqa: SLF001 - the binding's own name for it

    def integer(self: Any, param: int) -> None:
        encoded = _encoded(param, int)
        self._parent._set_option(code, encoded, len(encoded or b""))  # noqa: SLF001 - as above

    def text(self: Any, param: Any = None) -> None:
        encoded = _encoded(param, kind)
        self._parent._set_option(code, encoded, len(encoded or b""))  # noqa: SLF001 - as above

    if kind is type(None):
        return flag
    return integer if kind is int else text


def _documented(
    function: Callable[..., Any], name: str, text: str, parameter: str | None
) -> Callable[..., Any]:
    function.__name__ = name
    function.__doc__ = text if parameter is None else f"{text}\n\nArgument is {parameter}"
    return function


def _fill(target: type, scope: str) -> None:
    table: OptionTable = getattr(fdboptions, scope)
    for option, (code, text, kind, parameter) in table.items():
        name = f"set_{option.lower()}"
        setattr(target, name, _documented(_setter(code, kind), name, text, parameter))


def _predicate(code: int) -> Callable[[Any, Any], bool]:
    def predicate(_self: Any, error: Any) -> bool:
        return error_predicate(code, error.code)

    return predicate


def _fill_predicates() -> None:
    table: OptionTable = fdboptions.ErrorPredicate
    for option, (code, text, _, parameter) in table.items():
        name = f"is_{option.lower()}"
        setattr(ErrorPredicates, name, _documented(_predicate(code), name, text, parameter))


def _constant(code: int) -> Callable[[Any], int]:
    return lambda _self: code


def _enumeration(scope: str) -> Any:
    """Return an object whose properties are the scope's names, with the codes as values."""
    table: OptionTable = getattr(fdboptions, scope)
    members = {
        name.lower(): property(_constant(code), doc=text) for name, (code, text, _, _) in table.items()
    }
    return type(scope, (), members)()


def mutation_codes() -> dict[str, tuple[int, str, str]]:
    """Return the methods that atomic mutations have: name to code, text and what the parameter is.

    Every mutation has its name and, as in the official binding, the same with ``bit_`` before it.
    """
    table: OptionTable = fdboptions.MutationType
    return {
        name: (code, text, parameter or "parameter")
        for option, (code, text, _, parameter) in table.items()
        for name in (option.lower(), f"bit_{option.lower()}")
    }


for _target, _scope in (
    (NetworkOptions, "NetworkOption"),
    (DatabaseOptions, "DatabaseOption"),
    (TransactionOptions, "TransactionOption"),
):
    _fill(_target, _scope)
_fill_predicates()

StreamingMode: Any = _enumeration("StreamingMode")
ConflictRangeType: Any = _enumeration("ConflictRangeType")
