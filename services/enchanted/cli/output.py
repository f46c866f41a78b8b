# SPDX-License-Identifier: Apache-2.0
"""Where a command's words go: data to standard output, talk to standard error.

Mixed up, a pipe would parse greetings. And what is shown was written by others: a file name or a decision may
hold escape sequences that rewrite the terminal, so nothing reaches one without :func:`clean`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PIPE_WIDTH_COLUMNS: Final = 10_000


def clean(text: str) -> str:
    """The text without characters that steer a terminal; each is shown as the replacement character."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


class _DataConsole(Console):
    """A console whose reader may leave: that ends the command as done, where Rich would end it as failed."""

    def on_broken_pipe(self) -> None:
        """Let the error through, to whoever decides on exit codes."""
        raise BrokenPipeError


class Output:
    """The two streams of one command.

    Args:
        as_json: Data is JSON: one document, or one object a line for streams.
        quiet: No talk; errors are still told.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.data_console = _DataConsole(
            file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH_COLUMNS
        )
        self.talk_console = Console(file=sys.stderr, highlight=False, quiet=quiet)
        self._error_console = Console(file=sys.stderr, highlight=False)

    @property
    def live(self) -> bool:
        """Whether a display that redraws itself can be shown to a person."""
        return self.talk_console.is_terminal and not self.talk_console.is_dumb_terminal and not self.quiet

    def text(self, text: str) -> None:
        """Print a line of data."""
        self.data_console.print(Text(clean(text)), soft_wrap=True)

    def data(self, shown: RenderableType) -> None:
        """Print data that is laid out; its texts must be clean."""
        self.data_console.print(shown)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows of data: a table on a terminal, aligned columns in a pipe."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        self.data_console.print(table)

    def document(self, value: Any) -> None:  # noqa: ANN401 - any value that JSON can say
        """Print one JSON document."""
        self._write(json.dumps(plain(value), indent=2))

    def line(self, value: Any) -> None:  # noqa: ANN401 - any value that JSON can say
        """Print one JSON object of a stream, at once."""
        self._write(json.dumps(plain(value)))

    def raw(self, content: bytes) -> None:
        """Print bytes as they are; for content that must arrive unchanged."""
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def say(self, text: str) -> None:
        """Tell the person how things go."""
        self.talk_console.print(Text(clean(text)), soft_wrap=True)

    def fail(self, text: str, hint: str) -> None:
        """Tell what went wrong and what to do, one line each."""
        self._error_console.print(_one_line("error: ", text, "bold red"), soft_wrap=True)
        self._error_console.print(_one_line("hint: ", hint, "bold"), soft_wrap=True)

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def plain(value: Any) -> Any:  # noqa: ANN401 - any value that JSON can say
    """Views as dictionaries, whatever they stand in."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _one_line(label: str, text: str, style: str) -> Text:
    return Text.assemble((label, style), " ".join(clean(text).split()))
