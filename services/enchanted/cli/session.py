# SPDX-License-Identifier: Apache-2.0
"""Runs one command: its options, its connection, its end.

Every command has ``--json``, ``--quiet`` and ``--no-input``, ends on Ctrl-C within two seconds, and fails
with one line and a code. Written out in each command, one of them would soon lack one of these; so commands
are plain async functions, and :func:`command` gives them all the same frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import structlog
import typer

from enchanted import owner, platform, settings
from enchanted.cli.exits import ExitCode, explain
from enchanted.cli.output import Output
from enchanted.settings import Settings
from enchanted.telemetry import configure_logs

STOP_SECONDS_MAX: Final = 1.8
_KEPT: Final = "stopped; what was done is kept"
_LOG_FILE: Final = "logs/hub.log"
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Session:
    """What a command works with.

    Attributes:
        settings: The settings of this process.
        output: Where its words go.
        farewell: What is said if the person interrupts now: what is kept, and how to go on.
    """

    settings: Settings
    output: Output
    farewell: str = field(default=_KEPT)

    def connect(self, *, work: bool = False) -> AbstractAsyncContextManager[platform.Connection]:
        """Reach the hub that owns the folder, or host the rooms here for as long as the block runs.

        Args:
            work: Whether jobs must go on meanwhile; rooms that are hosted here then run them.
        """
        return platform.connect(self.settings, work=work)


Work = Callable[..., Coroutine[Any, Any, ExitCode]]

_COMMON: Final = (
    inspect.Parameter(
        "json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool, typer.Option("--json", help="Print data as JSON; docs/CLI.md has the shapes.")
        ],
    ),
    inspect.Parameter(
        "quiet",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--quiet", "-q", help="No talk on standard error.")],
    ),
    inspect.Parameter(
        "no_input",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--no-input", help="Never ask; no command asks today.")],
    ),
)


def command(app: typer.Typer, name: str) -> Callable[[Work], Work]:
    """Add an async function to an app as a command, with the options that every command has.

    Args:
        app: Where it is added.
        name: The command's name.

    Returns:
        A decorator for ``async def work(session, …) -> ExitCode``; its docstring is the command's help.
    """

    def register(work: Work) -> Work:
        app.command(name)(_framed(work))
        return work

    return register


def _framed(work: Work) -> Callable[..., None]:
    def run_command(**options: Any) -> None:  # noqa: ANN401 - whatever the command declares
        output = Output(as_json=options.pop("json"), quiet=options.pop("quiet"))
        options.pop("no_input")
        raise typer.Exit(run(lambda session: work(session, **options), output))

    # Typer reads a command's options from its signature: the work's own, without the session, and the common.
    signature = inspect.signature(work, eval_str=True)
    _, *own = signature.parameters.values()
    parameters = [*own, *_COMMON]
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect
    run_command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run_command.__doc__ = work.__doc__
    return run_command


def run(work: Callable[[Session], Coroutine[Any, Any, ExitCode]], output: Output) -> ExitCode:
    """Run a command's work to its end, whatever the end.

    Returns:
        The exit code; every failure has been told.
    """
    try:
        session = Session(settings.load(), output)
    except settings.SettingsError as error:
        return _tell(error, output)
    _start_logs(session.settings)
    try:
        return asyncio.run(_interruptible(work(session), session))
    except (asyncio.CancelledError, KeyboardInterrupt):
        output.say(f"\n{session.farewell}")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read has enough; what is still buffered for either stream must not fail at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return ExitCode.DONE
    except BaseExceptionGroup as group:
        return _tell(_first(group), output)
    except Exception as error:  # noqa: BLE001 - the one place where any exception becomes an exit code
        return _tell(error, output)


async def _interruptible(work: Coroutine[Any, Any, ExitCode], session: Session) -> ExitCode:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()

    def end_by_force() -> None:
        # All that is kept is on disk by now, so this loses nothing but order.
        session.output.talk_console.show_cursor()
        session.output.say(f"\n{session.farewell}")
        os._exit(ExitCode.INTERRUPTED)

    def stop() -> None:
        if interrupted.is_set():
            end_by_force()
        interrupted.set()
        timer = threading.Timer(STOP_SECONDS_MAX, end_by_force)
        timer.daemon = True
        timer.start()
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        # A command that runs in a thread, as in a test, cannot take signals and is not sent any.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, stop)
    try:
        return await task
    except Exception as error:
        if not interrupted.is_set():
            raise
        # What fails because everything around it ends is no failure of the command.
        _log.info("interrupted work did not end quietly", exc_info=error)
        raise asyncio.CancelledError from error


def _start_logs(settings_now: Settings) -> None:
    try:
        owner.open_folder(settings_now.data)
        configure_logs(settings_now.data / _LOG_FILE, settings_now.log_level)
    except (owner.PlatformError, OSError):
        # Whether a folder that cannot be used matters, the command will say itself.
        configure_logs(None, settings_now.log_level)


def _tell(error: BaseException, output: Output) -> ExitCode:
    fault = explain(error)
    if not fault.expected:
        _log.error("a command failed by our fault", exc_info=error)
    output.fail(fault.text, fault.hint)
    return fault.code


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
