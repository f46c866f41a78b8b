# SPDX-License-Identifier: Apache-2.0
"""pyupgrade and ruff as child processes: text in, text or diagnostics out.

Both only parse what they are given and never run it. They still meet hostile text, and may crash on it or
never end; so each call is a process of its own with a wall limit, no configuration of the repository, no
cache, an empty environment and a fixed file name instead of the stranger's.
"""

from __future__ import annotations

import asyncio
import json
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from enchanted.swarm.model import PythonVersion, ToolError

CALL_WALL_SECONDS: Final = 60
_ENVIRONMENT: Final = {
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "NO_COLOR": "1",
    "LC_ALL": "C.UTF-8",
}
_RUFF_VERSIONS: Final = (PythonVersion(3, 7), PythonVersion(3, 15))
_PYUPGRADE_VERSIONS: Final = (PythonVersion(3, 6), PythonVersion(3, 15))
_STDERR_CHARACTERS_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding of ruff.

    Args:
        code: rule code; ``invalid-syntax`` for text that does not parse.
        line: line of the text, from 1.
        message: ruff's sentence.
        has_safe_fix: whether ruff offers a fix that it calls safe.
    """

    code: str
    line: int
    message: str
    has_safe_fix: bool


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the tools are, and how long one call may take.

    Args:
        python: interpreter that has pyupgrade installed.
        ruff: the ruff program.
        call_wall_seconds: limit of one call.
    """

    python: Path
    ruff: Path
    call_wall_seconds: float = CALL_WALL_SECONDS

    @classmethod
    def installed(cls) -> Self:
        """Return the tools installed beside this interpreter."""
        return cls(Path(sys.executable), Path(sysconfig.get_path("scripts")) / "ruff")

    async def diagnose(
        self, text: str, target: PythonVersion, codes: Sequence[str], *, is_package: bool
    ) -> tuple[Diagnostic, ...]:
        """Diagnostics of the given rules, in the order of lines.

        Raises:
            ToolError: ruff failed or answered something else than its JSON.
        """
        argv = [*self._ruff_check(target, codes, is_package=is_package), "--output-format=json", "-"]
        output = await self._run("ruff", argv, text)
        try:
            found = [_diagnostic(item) for item in json.loads(output)]
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError("ruff's answer cannot be read", tool="ruff") from error
        return tuple(sorted(found, key=lambda each: (each.line, each.code, each.message)))

    async def fix(self, text: str, target: PythonVersion, code: str, *, is_package: bool) -> str:
        """Return the text with the safe fixes of one rule applied.

        Raises:
            ToolError: ruff failed.
        """
        argv = [*self._ruff_check(target, [code], is_package=is_package), "--fix", "--quiet", "-"]
        return await self._run("ruff", argv, text)

    async def pyupgrade(self, text: str, target: PythonVersion) -> str:
        """Return the text as pyupgrade rewrites it, with the white space at its start, which pyupgrade eats.

        Raises:
            ToolError: pyupgrade failed.
        """
        lowest, highest = _PYUPGRADE_VERSIONS
        version = min(target, highest)
        flag = f"--py3{version.minor}-plus" if version >= lowest else "--py3-plus"
        argv = [str(self.python), "-I", "-m", "pyupgrade", flag, "--exit-zero-even-if-changed", "-"]
        body = text.lstrip()
        return text[: len(text) - len(body)] + await self._run("pyupgrade", argv, body)

    def _ruff_check(self, target: PythonVersion, codes: Sequence[str], *, is_package: bool) -> list[str]:
        lowest, highest = _RUFF_VERSIONS
        version = max(lowest, min(target, highest))
        return [
            *(str(self.ruff), "check", "--isolated", "--no-cache", "--exit-zero", "--no-unsafe-fixes"),
            f"--target-version=py{version.major}{version.minor}",
            f"--select={','.join(codes)}",
            # Only __init__.py means something to ruff; the stranger's own name need not reach a command line.
            f"--stdin-filename={'__init__.py' if is_package else 'module.py'}",
        ]

    async def _run(self, tool: str, argv: Sequence[str], text: str) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(_ENVIRONMENT),
                cwd="/",
            )
        except OSError as error:
            raise ToolError("the tool could not be started", tool=tool, path=argv[0]) from error
        try:
            async with asyncio.timeout(self.call_wall_seconds):
                stdout, stderr = await process.communicate(text.encode("utf-8"))
        except TimeoutError as error:
            raise ToolError("the tool did not end in time", tool=tool) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            detail = stderr.decode("utf-8", "replace").strip()[-_STDERR_CHARACTERS_SHOWN:]
            raise ToolError("the tool failed", tool=tool, exit_code=process.returncode or 0, detail=detail)
        return stdout.decode("utf-8")


def _diagnostic(item: dict[str, object]) -> Diagnostic:
    location, fix, code = item["location"], item["fix"], item["code"]
    if not isinstance(location, dict):
        raise TypeError("location")
    return Diagnostic(
        code=str(code or "invalid-syntax"),
        line=int(location["row"]),
        message=str(item["message"]),
        has_safe_fix=isinstance(fix, dict) and fix.get("applicability") == "safe",
    )
