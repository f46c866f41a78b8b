# SPDX-License-Identifier: Apache-2.0
"""The main job from one command: run, summed up, verified, resumed, and not repeated."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import bad_projects
from tests.integration.cli.program import Ended, Program
from tests.integration.platform.repositories import git

_SETTINGS = """\
[project]
name = "basket"
version = "1.0"
requires-python = ">=3.10"

[tool.pytest.ini_options]
pythonpath = ["."]
"""
_MODULE = """\
from typing import List, Optional


class Basket(object):
    def __init__(self, fruits: Optional[List[str]] = None) -> None:
        self.fruits = list(fruits or [])

    def label(self) -> str:
        return "{} fruits".format(len(self.fruits))
"""
_TEST = """\
from basket import Basket


def test_a_basket_is_labelled() -> None:
    assert Basket(["fig", "pear"]).label() == "2 fruits"
"""


Done = tuple[Program, Path, Ended]


def _write_project(folder: Path) -> Path:
    files = {"pyproject.toml": _SETTINGS, "basket.py": _MODULE, "tests/test_basket.py": _TEST}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _of_type(ended: Ended, kind: str) -> list[dict[str, Any]]:
    return [line for line in ended.lines if line["type"] == kind]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A program that did the main job on a small project once, and how it ended."""
    folder = tmp_path_factory.mktemp("up")
    (folder / "place").mkdir()
    project = _write_project(folder / "basket")
    program = Program(folder / "data", folder / "place")
    return program, project, program.run("up", "--exit", "--json", "--repo", str(project))


@pytest.mark.feature("E-07")
def test_the_main_job_is_run_summed_up_and_verified(done: Done) -> None:
    _, project, ended = done
    assert ended.code == 0, ended.talk
    (hub,), (imported,) = _of_type(ended, "hub"), _of_type(ended, "project")
    assert (hub["started"], imported["existed"], imported["project"]["name"]) == (True, False, "basket")
    (told,) = _of_type(ended, "job")
    job = told["job"]
    assert (job["state"], job["tests_before"]["passed"], job["tests_after"]["passed"]) == ("succeeded", 1, 1)
    assert [edit["path"] for edit in job["edits"] if edit["accepted_parts"]] == ["basket.py"]
    assert {"accept", "plan"} <= {
        line["event"]["decision"]["kind"] for line in _of_type(ended, "event") if line["event"]["decision"]
    }
    (verification,) = _of_type(ended, "verification")
    assert verification["passed"]
    assert (project / "basket.py").read_text() == _MODULE


@pytest.mark.feature("E-01")
def test_every_event_of_the_job_is_shown_once(done: Done) -> None:
    program, _, ended = done
    shown = [line["event"]["id"] for line in _of_type(ended, "event")]
    (told,) = _of_type(ended, "job")
    recorded = program.run(
        "history", "basket", "--job", told["job"]["id"], "--limit", "10000", "--json"
    ).document["events"]
    assert shown == [event["id"] for event in recorded]


@pytest.mark.feature("X-02")
def test_the_exported_patch_applies_and_gives_the_head(done: Done, tmp_path: Path) -> None:
    program, project, _ = done
    patch = tmp_path / "changes.patch"
    assert program.run("project", "export", "basket", "--patch", "-o", str(patch)).code == 0
    assert program.run("diff", "basket").data == patch.read_text()
    fresh = _write_project(tmp_path / "fresh")
    git(fresh, "init", "--quiet")
    git(fresh, "apply", str(patch))
    assert "object" not in (fresh / "basket.py").read_text()
    assert program.run("replay", "basket", "--at", "now", "--into", str(tmp_path / "now")).code == 0
    assert (tmp_path / "now" / "basket.py").read_text() == (fresh / "basket.py").read_text()
    assert (project / "basket.py").read_text() == _MODULE


@pytest.mark.feature("E-07")
def test_said_again_it_shows_what_was_done_and_repeats_no_work(done: Done) -> None:
    program, project, first = done
    again = program.run("up", "--exit", "--json", "--repo", str(project))
    assert again.code == 0
    assert _of_type(again, "job") == _of_type(first, "job")
    assert _of_type(again, "event") == []
    assert "enchanted job run basket" in again.talk
    assert len(program.run("job", "list", "--json").document["jobs"]) == 1


@pytest.mark.feature("E-07")
def test_beside_a_live_hub_it_is_its_client(done: Done) -> None:
    program, project, first = done
    with program.hub() as url:
        again = program.run("up", "--exit", "--json", "--repo", str(project))
        (hub,) = _of_type(again, "hub")
        assert (hub["url"], hub["started"], again.code) == (url, False, 0)
        assert _of_type(again, "job") == _of_type(first, "job")


@pytest.mark.feature("E-07")
def test_an_interrupted_job_is_kept_and_goes_on_the_next_time(program: Program, tmp_path: Path) -> None:
    project = _write_project(tmp_path / "basket")
    with program.running("up", "--json", "--repo", str(project)) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if b'"type": "event"' in line)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate()
        assert process.returncode == 130
    job_id = json.loads(line)["event"]["job_id"]
    assert f"what job {job_id} did is kept" in talk.decode()
    (job,) = program.run("job", "list", "--json").document["jobs"]
    assert (job["id"], job["state"]) == (job_id, "running")
    ended = program.run("up", "--exit", "--json", "--repo", str(project))
    assert ended.code == 0, ended.talk
    (told,) = _of_type(ended, "job")
    assert (told["job"]["id"], told["job"]["state"]) == (job_id, "succeeded")


@pytest.mark.feature("E-07")
def test_a_project_without_python_ends_well_and_says_so(program: Program, tmp_path: Path) -> None:
    bad_projects.write_project_without_python(tmp_path / "letters")
    ended = program.run("up", "--exit", "--repo", str(tmp_path / "letters"))
    assert ended.code == 0, ended.talk
    assert ended.data.startswith("succeeded  ")


@pytest.mark.feature("E-07")
def test_what_cannot_be_imported_ends_it_with_code_3(program: Program, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in (("--repo", str(tmp_path / "empty")), ("--repo", str(tmp_path / "gone")), ()):
        ended = program.run("up", "--quiet", *words)
        assert ended.code == 3
        assert len(ended.talk.splitlines()) == 2


@pytest.mark.feature("E-07")
def test_a_changed_folder_gets_a_number_and_the_same_content_its_project(
    program: Program, tmp_path: Path
) -> None:
    folder, others = tmp_path / "letters", tmp_path / "others" / "letters"
    bad_projects.write_project_without_python(folder)
    bad_projects.write_project_without_python(others)
    (others / "theirs").write_text("theirs\n")

    def up(source: Path) -> tuple[str, bool, str]:
        ended = program.run("up", "--exit", "--json", "--repo", str(source))
        assert ended.code == 0, ended.talk
        (line,) = _of_type(ended, "project")
        told = [words for words in ended.talk.splitlines() if "; imported as " in words]
        return line["project"]["name"], line["existed"], "".join(told)

    assert up(folder) == ("letters", False, "")
    (folder / "new").write_text("new\n")
    changed = "the folder has changed since project letters was imported; imported as letters-2"
    assert up(folder) == ("letters-2", False, changed)
    assert up(folder) == ("letters-2", True, "")
    assert up(others)[:2] == ("letters-3", False)
    (folder / "new").unlink()
    assert up(folder) == ("letters", True, "")
    assert len(program.run("job", "list", "--json").document["jobs"]) == 3


@pytest.mark.feature("K-01")
def test_a_port_in_use_is_one_line_with_another_port(program: Program, tmp_path: Path) -> None:
    other = Program(tmp_path / "other", program.place)
    with other.hub() as url:
        port = url.rpartition(":")[2]
        ended = program.run("up", "--no-demo", ENCHANTED_PORT=port)
    assert ended.code == 4
    assert ended.talk.startswith(f"error: port {port} of 127.0.0.1 cannot be served")
    assert "ENCHANTED_PORT=" in ended.talk.splitlines()[1]


@pytest.mark.feature("E-12")
def test_without_a_sandbox_no_job_is_begun(program: Program, tmp_path: Path) -> None:
    project = _write_project(tmp_path / "basket")
    ended = program.run("up", "--exit", "--repo", str(project), PATH=str(tmp_path))
    assert ended.code == 4
    assert "bubblewrap is not installed" in ended.talk
    assert "make setup" in ended.talk
    assert program.run("job", "list", "--json").document == {"jobs": []}


@pytest.mark.feature("E-07")
def test_a_job_is_watched_to_its_end_without_a_hub(program: Program, tmp_path: Path) -> None:
    project = _write_project(tmp_path / "basket")
    assert program.run("project", "import", str(project)).code == 0
    ended = program.run("job", "run", "basket", "--watch")
    assert ended.code == 0, ended.talk
    assert ended.data.startswith("succeeded  ")
    assert "coder Modernise basket.py" in ended.talk


@pytest.mark.feature("E-01")
def test_a_history_is_followed_while_it_grows(program: Program, tmp_path: Path) -> None:
    project = _write_project(tmp_path / "basket")
    with program.hub():
        assert program.run("project", "import", str(project)).code == 0
        with program.running("history", "basket", "--follow", "--json", "--limit", "1") as process:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())["event"]
            assert first["change"]["target_type"] == "TIMELINE"
            assert program.run("job", "run", "basket").code == 0
            then = json.loads(process.stdout.readline())["event"]
            assert then["job_id"].startswith("job_")
            process.send_signal(signal.SIGINT)
            _, talk = process.communicate()
        assert (process.returncode, talk.decode()) == (130, "\nstopped following; the history goes on\n")
