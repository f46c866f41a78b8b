# SPDX-License-Identifier: Apache-2.0
"""What is mounted for an interpreter: all it needs, and never a parent of it."""

from pathlib import Path

import pytest

from enchanted.sandbox import Mount, SandboxFailedError, find_python

pytestmark = pytest.mark.feature("E-12")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's home folder with an installation as pyenv makes it, and a secret beside it."""
    home = tmp_path.resolve() / "home"
    make_installation(home / "versions" / "3.11.7")
    (home / ".ssh").mkdir()
    return home


def make_installation(folder: Path) -> None:
    library = folder / "lib" / "python3.11"
    library.mkdir(parents=True)
    (library / "os.py").write_text("")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3.11").write_text("")
    (folder / "bin" / "python3").symlink_to("python3.11")


def make_environment(folder: Path, python: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\nversion = 3.11.7\n")
    (folder / "bin" / "python3").symlink_to(python)
    (folder / "bin" / "python").symlink_to("python3")
    return folder / "bin" / "python"


def test_an_environment_and_its_installation_are_mounted_read_only_and_nothing_else(home: Path) -> None:
    installation = home / "versions" / "3.11.7"
    interpreter = make_environment(home / "project" / ".venv", installation / "bin" / "python3")
    found = find_python(interpreter)
    assert found.interpreter == interpreter
    assert set(found.mounts) == {
        Mount(installation, str(installation)),
        Mount(home / "project" / ".venv", str(home / "project" / ".venv")),
    }


def test_an_installation_that_is_known_by_a_link_is_mounted_by_both_names(home: Path) -> None:
    real = home / "versions" / "3.11.7"
    link = home / "versions" / "3.11"
    link.symlink_to(real)
    found = find_python(make_environment(home / ".venv", link / "bin" / "python3"))
    assert {Mount(real, str(link)), Mount(real, str(real))} <= set(found.mounts)


def test_no_mount_leads_over_a_link(home: Path) -> None:
    (home / "link").symlink_to(home / "project")
    make_environment(home / "project" / ".venv", home / "versions" / "3.11.7" / "bin" / "python3")
    found = find_python(home / "link" / ".venv" / "bin" / "python")
    assert all(mount.source == mount.source.resolve() for mount in found.mounts)
    assert str(home / "link" / ".venv") in {mount.target for mount in found.mounts}


def test_an_interpreter_of_no_environment_is_called_by_its_real_path(home: Path) -> None:
    installation = home / "versions" / "3.11.7"
    found = find_python(installation / "bin" / "python3")
    assert found.interpreter == installation / "bin" / "python3.11"
    assert found.mounts == (Mount(installation, str(installation)),)


def test_a_link_in_a_folder_of_programs_does_not_mount_what_is_beside_that_folder(home: Path) -> None:
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to(home / "versions" / "3.11.7" / "bin" / "python3")
    found = find_python(home / "bin" / "python")
    assert {mount.source for mount in found.mounts} == {home / "versions" / "3.11.7"}


def test_an_environment_made_from_a_link_elsewhere_is_refused(home: Path) -> None:
    (home / "bin").mkdir()
    shim = home / "bin" / "python3"
    shim.symlink_to(home / "versions" / "3.11.7" / "bin" / "python3")
    with pytest.raises(SandboxFailedError, match=r"make the environment anew.*home/bin/python3"):
        find_python(make_environment(home / ".venv", shim))


def test_what_has_no_library_beside_it_is_refused(home: Path) -> None:
    (home / "python").write_text("")
    with pytest.raises(SandboxFailedError, match="no standard library beside it"):
        find_python(home / "python")


def test_an_interpreter_that_is_not_there_is_refused(home: Path) -> None:
    with pytest.raises(SandboxFailedError, match="no such interpreter"):
        find_python(home / "nothing")
