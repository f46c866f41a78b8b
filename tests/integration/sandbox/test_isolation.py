# SPDX-License-Identifier: Apache-2.0
"""What code inside can see, change and reach: each test tries to get out."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from enchanted.sandbox import (
    BubblewrapSandbox,
    Command,
    Ending,
    Limits,
    Mount,
    Outcome,
    PythonEnvironment,
    SandboxFailedError,
)

pytestmark = pytest.mark.feature("E-12")

SECRET = "a-token-nobody-inside-may-read"
LOOK_FOR_SECRET = (
    f"env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -a {SECRET[:5]}; true"
)


async def shell(sandbox: BubblewrapSandbox, script: str, *mounts: Mount) -> Outcome:
    folder = "/home/sandbox/work" if any(mount.writable for mount in mounts) else "/tmp"  # noqa: S108 - inside
    command = Command(("sh", "-c", script), working_folder=folder)
    outcome = await sandbox.run(command, mounts, Limits(wall_seconds=60))
    assert outcome.ended is Ending.EXITED, outcome
    return outcome


async def lines(sandbox: BubblewrapSandbox, script: str, *mounts: Mount) -> list[str]:
    return (await shell(sandbox, script, *mounts)).stdout.decode().splitlines()


async def test_code_runs_as_nobody_without_capabilities(any_sandbox: BubblewrapSandbox) -> None:
    assert await lines(any_sandbox, "id -u; id -g") == ["65534", "65534"]
    status = await lines(any_sandbox, "grep -E '^(Cap|NoNewPrivs)' /proc/self/status")
    values = dict(line.split(":\t") for line in status)
    assert values.pop("NoNewPrivs") == "1"
    assert len(values) == 5
    assert {int(value, 16) for value in values.values()} == {0}


async def test_our_environment_is_not_visible_by_any_way(
    any_sandbox: BubblewrapSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCHANTED_TOKEN", SECRET)
    control = await asyncio.create_subprocess_exec(
        "sh", "-c", LOOK_FOR_SECRET, stdout=asyncio.subprocess.PIPE
    )
    assert SECRET.encode() in (await control.communicate())[0]
    outcome = await shell(any_sandbox, LOOK_FOR_SECRET)
    assert SECRET.encode() not in outcome.stdout
    assert b"HOME=/home/sandbox" in outcome.stdout


async def test_variables_given_are_not_on_a_command_line(sandbox: BubblewrapSandbox) -> None:
    command = Command(("sh", "-c", 'echo "$TOKEN"; cat /proc/1/cmdline'), environment={"TOKEN": SECRET})
    outcome = await sandbox.run(command, [], Limits())
    assert outcome.stdout.startswith(f"{SECRET}\n".encode())
    assert outcome.stdout.count(SECRET.encode()) == 1


async def test_only_the_run_s_own_processes_are_seen(any_sandbox: BubblewrapSandbox) -> None:
    names = await lines(any_sandbox, "cat /proc/[0-9]*/comm")
    assert set(names) <= {"bwrap", "sh", "cat"}


async def test_only_the_usual_folders_and_the_mounts_are_there(
    any_sandbox: BubblewrapSandbox, work: Mount
) -> None:
    seen = set(await lines(any_sandbox, "ls -A / /home /home/sandbox", work))
    usual = {
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "sbin",
        "tmp",
        "usr",
    }
    assert {"usr", "sandbox", "work"} <= seen
    assert seen - {"", "/:", "/home:", "/home/sandbox:"} <= usual | {"sandbox", "work"}
    assert await lines(any_sandbox, "ls -A /tmp /home/sandbox /dev/shm | grep -v :") == ["", ""]


async def test_nothing_can_be_written_but_mounts_and_temporary_folders(
    any_sandbox: BubblewrapSandbox, work: Mount
) -> None:
    (work.source / "file").touch()
    (work.source / "file").chmod(0o666)
    folders = set(await lines(any_sandbox, "find / -type d -writable 2>/dev/null; true", work))
    # Pseudo-terminals are made by opening one; no file can be made beside them.
    folders -= {"/dev/pts"}
    assert folders == {"/tmp", "/dev/shm", "/home/sandbox", work.target}  # noqa: S108 - paths inside
    files = set(await lines(any_sandbox, "find / -type f -writable 2>/dev/null; true", work))
    # The harmless devices are mounted over files, and listed as such.
    files -= {f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero")}
    assert files == {f"{work.target}/file"}


async def test_no_setting_of_the_kernel_can_be_written(any_sandbox: BubblewrapSandbox) -> None:
    # The same value is written back, so that nothing changes where this test fails.
    setting = "/proc/sys/kernel/core_pattern"
    script = f'value=$(cat {setting}); if printf %s "$value" > {setting}; then echo written; fi'
    outcome = await shell(any_sandbox, script)
    assert outcome.stdout == b""
    assert b"Read-only file system" in outcome.stderr or b"Permission denied" in outcome.stderr


@pytest.mark.parametrize(
    "attempt",
    [
        "unshare --user true",
        "unshare --mount true",
        "mount -o remount,rw /proc",
        "mount -t tmpfs none /tmp",
        "umount /proc",
        "/usr/sbin/chroot /tmp /bin/true",
        "mknod disk b 254 0",
        "ln /usr/bin/env env",
        "prlimit --pid $$ --as=unlimited",
    ],
)
async def test_no_right_can_be_gained(any_sandbox: BubblewrapSandbox, work: Mount, attempt: str) -> None:
    program, _, _ = attempt.partition(" ")
    outcome = await shell(any_sandbox, f"command -v {program} >&2 && {attempt} && echo done", work)
    assert outcome.stderr.startswith(b"/"), "the program is there to be tried"
    assert outcome.exit_code != 0
    assert outcome.stdout == b""


async def test_a_mount_that_is_not_writable_is_not_written(
    any_sandbox: BubblewrapSandbox, work: Mount
) -> None:
    (work.source / "file").write_text("as it was")
    (work.source / "file").chmod(0o666)
    outcome = await shell(any_sandbox, "cat /seen/file; echo > /seen/file", Mount(work.source, "/seen"))
    assert outcome.stdout == b"as it was"
    assert b"Read-only" in outcome.stderr
    assert (work.source / "file").read_text() == "as it was"


async def test_what_is_written_into_a_writable_mount_stays(
    any_sandbox: BubblewrapSandbox, work: Mount
) -> None:
    await shell(any_sandbox, "echo made inside > new", work)
    assert (work.source / "new").read_text() == "made inside\n"


async def test_links_in_a_writable_mount_lead_nowhere_outside(
    any_sandbox: BubblewrapSandbox, work: Mount, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text(SECRET)
    (work.source / "from-outside").symlink_to(outside)
    (work.source / "up").symlink_to(Path("..") / ".." / outside.relative_to("/"))
    script = f"ln -s {outside} link; cat link from-outside up; echo x > link"
    outcome = await shell(any_sandbox, script, work)
    assert outcome.stdout == b""
    assert outcome.exit_code != 0
    assert outside.read_text() == SECRET


async def test_a_link_made_inside_is_not_followed_by_a_later_mount(
    sandbox: BubblewrapSandbox, work: Mount, tmp_path: Path
) -> None:
    await shell(sandbox, f"ln -s {tmp_path} results", work)
    with pytest.raises(SandboxFailedError, match="leads over a link"):
        await shell(sandbox, "true", Mount(work.source / "results", "/results"))


async def test_only_the_three_standard_descriptors_are_open(any_sandbox: BubblewrapSandbox) -> None:
    # The fourth is the folder that ls reads.
    assert await lines(any_sandbox, "ls /proc/self/fd") == ["0", "1", "2", "3"]
    assert await lines(any_sandbox, "readlink /proc/self/fd/0") == ["/dev/null"]


async def test_code_has_no_terminal_of_ours_to_write_into(any_sandbox: BubblewrapSandbox) -> None:
    # The sixth field is the session, which is 0 where its leader is outside; proc(5).
    session, terminal = (await lines(any_sandbox, "cut -d' ' -f6,7 /proc/self/stat"))[0].split()
    assert session != "0"
    assert terminal == "0"


async def test_there_is_no_network_interface_but_a_loopback_of_its_own(
    any_sandbox: BubblewrapSandbox,
) -> None:
    table = await lines(any_sandbox, "tail -n +3 /proc/net/dev")
    assert [line.split(":")[0].strip() for line in table] == ["lo"]


async def test_a_server_on_this_machine_is_out_of_reach(
    sandbox: BubblewrapSandbox, python: PythonEnvironment
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address):
            server.accept()[0].close()
        connect = f"import socket; socket.create_connection({address!r}, timeout=20)"
        command = Command((str(python.interpreter), "-c", connect))
        outcome = await sandbox.run(command, python.mounts, Limits())
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert outcome.exit_code == 1
    assert b"ConnectionRefusedError" in outcome.stderr


async def test_an_abstract_socket_of_this_machine_is_out_of_reach(
    sandbox: BubblewrapSandbox, python: PythonEnvironment
) -> None:
    name = f"\0enchanted-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(name)
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})"
        outcome = await sandbox.run(
            Command((str(python.interpreter), "-c", connect)), python.mounts, Limits()
        )
    assert b"ConnectionRefusedError" in outcome.stderr


async def test_code_can_talk_to_itself(sandbox: BubblewrapSandbox, python: PythonEnvironment) -> None:
    script = (
        "import socket; s = socket.create_server(('localhost', 0));"
        "socket.create_connection(s.getsockname()); print(s.accept()[1][0])"
    )
    outcome = await sandbox.run(Command((str(python.interpreter), "-c", script)), python.mounts, Limits())
    assert outcome.stdout == b"127.0.0.1\n"
