# SPDX-License-Identifier: Apache-2.0
"""What is demanded of the main job on any project, the sample or a downloaded one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Installation, Run, Started

MOMENTS = 20


def git(*arguments: str, cwd: Path) -> str:
    ended = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a tree but Git's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def new_seed() -> int:
    """A seed for this run; what uses it names it when it fails."""
    return random.randrange(1 << 32)


# --- the result


def check_ended_well(run: Run) -> None:
    """The job succeeded, its history verified, and no test that passed before fails."""
    assert run.exit_code == 0, run.told
    assert run.job["state"] == "succeeded"
    assert run.verified
    assert run.job["tests_before"]["passed"] > 0
    assert run.job["tests_after"]["passed"] >= run.job["tests_before"]["passed"]


def changed_files(run: Run) -> int:
    return sum(bool(edit["accepted_parts"]) for edit in run.job["edits"])


def check_patch_applies(installation: Installation, run: Run, source: Path, into: Path) -> None:
    """The exported patch applies, with `git apply`, to a copy of what was imported."""
    patch = into.with_suffix(".patch")
    exported = installation.run("project", "export", run.project["name"], "--patch", "-o", str(patch))
    assert exported.returncode == 0, exported.stderr
    shutil.copytree(source, into)
    git("init", "-q", cwd=into)
    if not changed_files(run):
        assert patch.stat().st_size == 0
        return
    git("apply", "--check", str(patch), cwd=into)
    git("apply", str(patch), cwd=into)
    assert content(into) != content(source)


def check_replay_equals_clone(installation: Installation, run: Run, folder: Path) -> set[str]:
    """At random moments, `enchanted replay` and `git clone` give the same files.

    Returns:
        The Git trees that were seen.
    """
    name = run.project["name"]
    places = [line["event"]["place"] for line in run.lines if line["type"] == "event"]
    seed = new_seed()
    trees: set[str] = set()
    with installation.serving() as url:
        for number, place in enumerate(random.Random(seed).choices(places, k=MOMENTS)):
            replayed, cloned = folder / f"replay-{number}", folder / f"clone-{number}"
            answer = installation.answer("replay", name, "--at", place, "--into", str(replayed))
            git("clone", "-q", f"{url}/git/local/{name}@{place}", str(cloned), cwd=folder)
            assert content(replayed) == content(cloned), f"seed {seed}, place {place}"
            assert git("rev-parse", "HEAD^{tree}", cwd=cloned).strip() == answer["moment"]["tree"]
            trees.add(answer["moment"]["tree"])
            shutil.rmtree(replayed)
            shutil.rmtree(cloned)
    return trees


# --- tampering


def kept_files(data: Path) -> list[Path]:
    """Files that hold what is kept: tables, logs of writes and their list, blobs; not RocksDB's own notes."""
    store = [path for path in (data / "store").rglob("*") if path.suffix in {".sst", ".log"}]
    manifests = list((data / "store").rglob("MANIFEST-*"))
    blobs = [path for path in (data / "blobs").rglob("*") if path.is_file()]
    return sorted(path for path in [*store, *manifests, *blobs] if path.stat().st_size)


def flip(path: Path, position: int) -> None:
    changed = bytearray(path.read_bytes())
    changed[position] ^= 0xFF
    path.write_bytes(bytes(changed))


def copy_of(installation: Installation, data: Path) -> Installation:
    shutil.copytree(installation.data, data)
    return Installation(data)


def check_flips_are_caught(installation: Installation, folder: Path, flips: int) -> None:
    """A byte flipped anywhere in what is kept fails `enchanted verify`, and it says so."""
    seed = new_seed()
    chance = random.Random(seed)
    for number in range(flips):
        copy = copy_of(installation, folder / f"copy-{number}")
        path = chance.choice(kept_files(copy.data))
        position = chance.randrange(path.stat().st_size)
        flip(path, position)
        where = f"seed {seed}: {path.relative_to(copy.data)} at {position}"
        ended = copy.run("verify", "--json")
        assert ended.returncode == 1, f"{where}: {ended.stdout}{ended.stderr}"
        assert not json.loads(ended.stdout)["passed"], where
        shutil.rmtree(copy.data)


# --- faults in the middle of a job


def is_decision(kind: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a line tells of a decision of this kind."""

    def matches(line: dict[str, Any]) -> bool:
        decision = line["event"]["decision"] if line["type"] == "event" else None
        return decision is not None and bool(decision["kind"] == kind)

    return matches


def lines_until(
    started: Started, wanted: Callable[[dict[str, Any]], bool], count: int
) -> list[dict[str, Any]]:
    """Read what a job does until it did something so many times."""
    seen: list[dict[str, Any]] = []
    for text in started.lines():
        seen.append(json.loads(text))
        if sum(wanted(line) for line in seen) >= count:
            return seen
    pytest.fail(f"the job ended too early: {started.end()}")


def start_job(installation: Installation, source: Path) -> Started:
    return installation.start("up", "--json", "--exit", "--repo", str(source))


def kill_agents_in_the_middle(
    installation: Installation, source: Path, after: Callable[[dict[str, Any]], bool], count: int
) -> Run:
    """The main job, with `kill -9` of its agents' process in the middle."""
    started = start_job(installation, source)
    seen = lines_until(started, after, count)
    os.kill(agents_process(started.pid), signal.SIGKILL)
    ended = started.end()
    return replace(ended, lines=[*seen, *ended.lines])


def kill_platform_in_the_middle(
    installation: Installation, source: Path, after: Callable[[dict[str, Any]], bool], count: int
) -> Run:
    """The main job, with `kill -9` of the platform in the middle, and the same command again."""
    started = start_job(installation, source)
    lines_until(started, after, count)
    agents = agents_process(started.pid)
    started.process.kill()
    started.end()
    job = installation.answer("job", "list")["jobs"][0]
    assert job["state"] == "running"
    run = installation.up(source)
    assert run.job["id"] == job["id"]
    assert is_gone(agents)
    return run


def children(pid: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            yield int(path.parent.name)


def agents_process(hub: int) -> int:
    for pid in children(hub):
        if b"enchanted.swarm" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    pytest.fail("the hub has no agents' process")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
