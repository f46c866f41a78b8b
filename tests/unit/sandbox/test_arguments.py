# SPDX-License-Identifier: Apache-2.0
"""What the inside of a sandbox looks like, read from the options that make it."""

import posixpath
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.sandbox import Command, Limits, Mount, SandboxFailedError
from enchanted.sandbox.arguments import limited, sandbox_arguments, system_arguments

pytestmark = pytest.mark.feature("E-12")


def options_of(command: Command | None = None, *mounts: Mount, limits: Limits | None = None) -> list[str]:
    return sandbox_arguments(command or Command(("true",)), mounts, limits or Limits(), ["--system"], [])


def pairs(arguments: list[str], option: str) -> list[tuple[str, str]]:
    return [
        (arguments[place + 1], arguments[place + 2])
        for place, argument in enumerate(arguments)
        if argument == option
    ]


def test_every_namespace_is_its_own_and_none_can_be_added() -> None:
    assert {"--unshare-user", "--unshare-all", "--disable-userns", "--clearenv"} <= set(options_of())


def test_what_is_in_memory_or_of_the_kernel_is_made_read_only_after_the_last_mount(tmp_path: Path) -> None:
    arguments = options_of(None, Mount(tmp_path.resolve(), "/work", writable=True))
    read_only = [arguments[place + 1] for place, each in enumerate(arguments) if each == "--remount-ro"]
    assert read_only == ["/dev", "/proc", "/"]
    assert arguments.index("--bind") < arguments.index("--remount-ro")


def test_every_temporary_folder_has_a_size() -> None:
    arguments = options_of(limits=Limits(memory_bytes=4000))
    sized = [arguments[place - 2 : place] for place, each in enumerate(arguments) if each == "--tmpfs"]
    assert sized == [["--size", "1000"]] * 3


def test_a_mount_is_writable_only_if_asked(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    arguments = options_of(None, Mount(folder, "/reading"), Mount(folder, "/writing", writable=True))
    assert (str(folder), "/reading") in pairs(arguments, "--ro-bind")
    assert pairs(arguments, "--bind") == [(str(folder), "/writing")]


def test_the_commands_variables_come_beside_and_instead_of_the_usual_ones() -> None:
    command = Command(("true",), environment={"HOME": "/work", "COLOUR": "never"})
    variables = dict(pairs(options_of(command), "--setenv"))
    assert variables["HOME"] == "/work"
    assert variables["COLOUR"] == "never"
    assert variables["USER"] == "sandbox"


@pytest.mark.parametrize(
    "target",
    [
        "",
        "work",
        "/",
        "//work",
        "/work/",
        "/work/../etc",
        "/./work",
        "/etc",
        "/etc/passwd",
        "/proc/1",
        "/usr/x",
    ],
)
def test_a_target_that_is_no_plain_path_or_belongs_to_every_run_is_refused(
    tmp_path: Path, target: str
) -> None:
    with pytest.raises(SandboxFailedError, match="target"):
        options_of(None, Mount(tmp_path.resolve(), target))


@given(st.lists(st.sampled_from(["/", "//", "etc", "work", ".", "..", " "]), max_size=6).map("".join))
def test_exactly_the_normal_paths_outside_of_what_every_run_has_are_accepted(target: str) -> None:
    normal = target.startswith("/") and not target.startswith("//") and posixpath.normpath(target) == target
    acceptable = normal and target != "/" and target.split("/")[1] != "etc"
    try:
        arguments = options_of(None, Mount(Path("/usr").resolve(), target))
    except SandboxFailedError:
        assert not acceptable
    else:
        assert acceptable
        assert pairs(arguments, "--ro-bind")[-1] == ("/usr", target)


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxFailedError, match=r"source is not there: .*/nothing"):
        options_of(None, Mount(tmp_path / "nothing", "/work"))


@pytest.mark.parametrize("below", ["", "inner"])
def test_a_source_that_leads_over_a_link_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(SandboxFailedError, match="leads over a link"):
        options_of(None, Mount(tmp_path / "link" / below, "/work"))


def test_a_relative_source_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SandboxFailedError, match="not absolute"):
        options_of(None, Mount(Path(), "/work"))


@pytest.mark.parametrize(
    "command",
    [
        Command(("true", "a\0--bind")),
        Command(("true",), environment={"NAME": "a\0--bind\0/\0/host"}),
        Command(("true",), environment={"NA\0ME": "a"}),
        Command(("true",), working_folder="/work\0--bind"),
    ],
    ids=["argument", "value", "name", "folder"],
)
def test_no_text_can_bring_options_of_its_own(command: Command) -> None:
    with pytest.raises(SandboxFailedError, match="NUL"):
        options_of(command)


def test_limits_are_set_before_the_command_is_run() -> None:
    limits = Limits(cpu_seconds=7, memory_bytes=1000, file_size_bytes=20, processes=3)
    line = limited(("echo", "--help"), limits, Path("/usr/bin/prlimit"))
    assert line[0] == "/usr/bin/prlimit"
    assert set(line[1:6]) == {"--as=1000", "--cpu=7:8", "--fsize=20", "--nproc=3", "--core=0"}
    assert line[6:] == ["--", "echo", "--help"]


def test_system_folders_are_shown_as_this_machine_has_them(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "bin").symlink_to("usr/bin")
    arguments = system_arguments(tmp_path)
    assert pairs(arguments, "--symlink") == [("usr/bin", "/bin")]
    assert pairs(arguments, "--ro-bind") == [(str(tmp_path / "usr"), "/usr"), (str(tmp_path / "lib"), "/lib")]
