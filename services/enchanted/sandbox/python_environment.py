# SPDX-License-Identifier: Apache-2.0
"""Finds what a Python interpreter needs to run inside a sandbox at the same paths.

A virtual environment points into an installation that may lie anywhere, often below a home folder. Mounting
too little gives an interpreter that cannot find its own library; mounting a parent to be on the safe side
gives the sandbox the home folder. So exactly the environment and the installation are mounted, both
read-only, and found by reading links and `pyvenv.cfg` (described in the documentation of Python's module
`site`) without running anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enchanted.sandbox.model import Mount, SandboxFailedError

_SYSTEM = Path("/usr")


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A Python interpreter as it can be used inside.

    Attributes:
        interpreter: The path to call it by, the same inside and outside.
        mounts: What must be mounted for it; nothing where all of it lies below `/usr`.
    """

    interpreter: Path
    mounts: tuple[Mount, ...]


def find_python(interpreter: Path) -> PythonEnvironment:
    """Find what an interpreter needs to run with its installed packages.

    Args:
        interpreter: Absolute path, for instance `Path(sys.executable)`: in a virtual environment or not.

    Raises:
        SandboxFailedError: It is no interpreter in a layout that can be mounted without its parents.
    """
    if not interpreter.is_file():
        raise SandboxFailedError("there is no such interpreter", str(interpreter))
    real = interpreter.resolve()
    environment = interpreter.parent.parent
    if not (environment / "pyvenv.cfg").is_file():
        return PythonEnvironment(real, _mounts([_installation(real.parent)]))
    folders = [_installation(real.parent), environment]
    home = _home(environment / "pyvenv.cfg")
    if home is not None and _has_library(home.parent):
        folders.insert(0, home.parent)
    _refuse_links_elsewhere(interpreter, folders)
    return PythonEnvironment(interpreter, _mounts(folders))


def _installation(programs: Path) -> Path:
    """The folder that holds a folder of programs and the library beside it."""
    folder = programs.parent
    if folder == Path(folder.anchor) or not _has_library(folder):
        raise SandboxFailedError("the interpreter has no standard library beside it", str(programs))
    return folder


def _has_library(folder: Path) -> bool:
    return any(any(folder.glob(f"{name}/python3*/os.py")) for name in ("lib", "lib64"))


def _home(settings: Path) -> Path | None:
    """The folder of programs that a virtual environment was made from."""
    for line in settings.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "home":
            return Path(value.strip())
    return None


def _links(path: Path) -> Iterator[Path]:
    """The files that a path leads to, link by link."""
    while path.is_symlink():
        path = path.parent / path.readlink()
        yield path


def _refuse_links_elsewhere(interpreter: Path, folders: list[Path]) -> None:
    seen_inside = [_SYSTEM, *folders, *(folder.resolve() for folder in folders)]
    for path in _links(interpreter):
        if not any(path.is_relative_to(folder) for folder in seen_inside):
            raise SandboxFailedError(
                "the virtual environment's interpreter is a link to a link outside its installation: "
                "make the environment anew with the interpreter itself",
                str(path),
            )


def _mounts(folders: list[Path]) -> tuple[Mount, ...]:
    """Each folder once, by the path it is known by; what lies in another one comes after it."""
    targets = {str(folder): folder.resolve() for folder in folders if not folder.is_relative_to(_SYSTEM)}
    targets |= {str(source): source for source in targets.values() if not source.is_relative_to(_SYSTEM)}
    return tuple(Mount(source, target) for target, source in sorted(targets.items()))
