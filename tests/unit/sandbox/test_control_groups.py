# SPDX-License-Identifier: Apache-2.0
"""Where groups may be made and what is written into them, for both versions of the interface."""

from pathlib import Path

import pytest

from enchanted.sandbox import Limits
from enchanted.sandbox.control_groups import Group, Hierarchy, candidates, find_control_groups

pytestmark = pytest.mark.feature("E-12")

BOTH = frozenset({"memory", "pids"})
LIMITS = Limits(memory_bytes=1000, processes=7)


def tell(proc: Path, cgroup: str, *mounts: str) -> Path:
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(cgroup)
    (proc / "self" / "mountinfo").write_text("\n".join(mounts) + "\n")
    return proc


def test_version_1_limits_memory_before_memory_with_swap() -> None:
    assert list(Hierarchy(Path("/g"), frozenset({"memory"}), 1).settings(LIMITS)) == [
        ("memory.limit_in_bytes", "1000"),
        ("memory.memsw.limit_in_bytes", "1000"),
    ]


def test_version_2_has_no_swap_and_kills_the_group_as_one() -> None:
    assert dict(Hierarchy(Path("/g"), BOTH, 2).settings(LIMITS)) == {
        "memory.max": "1000",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "8",
    }


def test_below_our_own_group_and_beside_it_in_version_2(tmp_path: Path) -> None:
    (tmp_path / "mount" / "app.slice" / "run.scope").mkdir(parents=True)
    line = f"30 29 0:26 / {tmp_path}/mount rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
    proc = tell(tmp_path / "proc", "0::/app.slice/run.scope\n", line)
    own = tmp_path / "mount" / "app.slice" / "run.scope"
    assert list(candidates(proc)) == [Hierarchy(own, BOTH, 2), Hierarchy(own.parent, BOTH, 2)]


def test_each_controller_in_its_own_hierarchy_in_version_1(tmp_path: Path) -> None:
    for name in ("memory", "pids", "cpu"):
        (tmp_path / name / "box").mkdir(parents=True)
    mounts = [
        f"3 2 0:2 / {tmp_path}/{name} rw - cgroup cgroup rw,{name}" for name in ("memory", "pids", "cpu")
    ]
    proc = tell(tmp_path / "proc", "3:memory:/box\n2:pids:/\n1:cpu:/box\n", *mounts)
    assert list(candidates(proc)) == [
        Hierarchy(tmp_path / "memory" / "box", frozenset({"memory"}), 1),
        Hierarchy(tmp_path / "memory", frozenset({"memory"}), 1),
        Hierarchy(tmp_path / "pids", frozenset({"pids"}), 1),
    ]


def test_a_group_outside_of_what_the_mount_shows_is_sought_at_the_mount(tmp_path: Path) -> None:
    line = f"3 2 0:2 /container {tmp_path} rw - cgroup2 cgroup2 rw"
    proc = tell(tmp_path / "proc", "0::/elsewhere\n", line)
    assert list(candidates(proc)) == [Hierarchy(tmp_path, BOTH, 2)]


def test_a_folder_without_the_controllers_is_not_used_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    line = f"3 2 0:2 / {tmp_path}/mount rw - cgroup2 cgroup2 rw"
    assert find_control_groups(tell(tmp_path / "proc", "0::/\n", line)) is None
    assert list((tmp_path / "mount").iterdir()) == []


def test_a_machine_that_tells_nothing_has_no_groups(tmp_path: Path) -> None:
    assert find_control_groups(tmp_path) is None


@pytest.mark.parametrize(
    ("version", "file", "counts", "killed"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", False),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        (2, "memory.events", "low 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n", False),
        (2, "memory.events", "low 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 1\n", True),
    ],
    ids=["v1-none", "v1-killed", "v2-none", "v2-killed"],
)
def test_the_kernels_kills_are_read(
    tmp_path: Path, version: int, file: str, counts: str, *, killed: bool
) -> None:
    (tmp_path / file).write_text(counts)
    group = Group(((Hierarchy(tmp_path, BOTH, version), tmp_path),))
    assert group.out_of_memory() is killed
