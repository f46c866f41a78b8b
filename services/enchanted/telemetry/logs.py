# SPDX-License-Identifier: Apache-2.0
"""Log set-up: one JSON object a line in a file, and what a person must see on a terminal.

Libraries log through `logging` and rooms through `structlog`; if both had their own handlers, a hub's log
would be two files in two formats. Here both end in one chain, and every line passes :func:`redact` first, so
that a token in a field does not become a token in a file.
"""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LOG_BYTES_MAX: Final = 10 << 20
LOG_FILES_KEPT: Final = 3
_SECRET_WORDS: Final = ("token", "password", "secret", "authorization", "cookie", "private_key", "api_key")
_REDACTED: Final = "[redacted]"
_QUIET_LIBRARIES: Final = ("uvicorn.access", "asyncio")


def configure_logs(file: Path | None, level: str) -> None:
    """Send everything that is logged to a file, and warnings to the terminal if there is one.

    Calling it again replaces what an earlier call set up.

    Args:
        file: Where JSON lines go, made with mode 0600 and rotated at 10 MiB; ``None`` for no file.
        level: ``debug``, ``info``, ``warning`` or ``error``; holds for the file.

    Raises:
        OSError: If the file cannot be written.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level.upper())
    if file is not None:
        root.addHandler(_file_handler(file))
    if sys.stderr.isatty():
        root.addHandler(_terminal_handler())
    if not root.handlers:
        # Otherwise logging prints warnings by itself, into the output of whoever reads this process.
        root.addHandler(logging.NullHandler())
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the value of every field whose name says that it is a secret."""
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = _REDACTED
    return event


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]


# Without the values of local variables: a token or a line of somebody's code may be one of them.
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def _file_handler(file: Path) -> logging.Handler:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES_MAX, backupCount=LOG_FILES_KEPT, encoding="utf-8")
    handler.setFormatter(_formatter(_TRACEBACKS, structlog.processors.JSONRenderer(default=str)))
    return handler


def _terminal_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.ERROR)
    handler.setFormatter(_formatter(_without_traceback, structlog.dev.ConsoleRenderer(colors=False)))
    return handler


def _formatter(*last: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _without_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.pop("exc_info", None)
    return event
