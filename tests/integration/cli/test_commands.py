# SPDX-License-Identifier: Apache-2.0
"""Every command, hosting the rooms itself and as the client of a live hub, with the same answers."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from enchanted import owner
from tests.integration.cli.program import Imported, Program
from tests.integration.platform.repositories import git, make_repository


def _import(program: Program, repository: Path) -> str:
    ended = program.run("project", "import", str(repository), "--quiet")
    assert (ended.code, ended.talk) == (0, "")
    return ended.data.strip()


@pytest.mark.feature("E-03")
def test_a_repository_is_imported_listed_and_recognised(imported: Imported) -> None:
    listed = imported.program.run("project", "list", "--json").document["projects"]
    assert [(entry["id"], entry["name"]) for entry in listed] == [(imported.project_id, "basket")]
    assert listed[0]["head_commit"] == git(imported.repository, "rev-parse", "HEAD").strip()
    again = imported.program.run("project", "import", str(imported.repository), "--json").document
    assert (again["existed"], again["project"]["id"]) == (True, imported.project_id)
    table = imported.program.run("project", "list")
    assert table.data.splitlines()[0].split() == ["NAME", "HEAD", "IMPORTED", "ID", "SOURCE"]
    assert imported.project_id in table.data


@pytest.mark.feature("E-03")
def test_a_changed_folder_is_no_project_of_the_same_name(imported: Imported) -> None:
    changed = make_repository(imported.program.place / "changed" / "basket")
    (changed / "new").write_text("new\n")
    ended = imported.program.run("project", "import", str(changed))
    assert (ended.code, ended.data) == (3, "")
    assert ended.talk.endswith(
        "error: project 'basket' has other content\nhint: choose another name with --name NAME\n"
    )


@pytest.mark.feature("E-03")
@pytest.mark.parametrize("source", ["", "http://[bad"])
def test_a_source_that_is_none_is_told(imported: Imported, source: str) -> None:
    ended = imported.program.run("project", "import", source)
    assert (ended.code, ended.data) == (3, "")
    assert "unexpected" not in ended.talk
    assert len(ended.talk.splitlines()) == 2


@pytest.mark.feature("E-03")
def test_a_misspelled_project_is_told_with_what_was_meant(imported: Imported) -> None:
    ended = imported.program.run("history", "baskt")
    assert (ended.code, ended.data) == (3, "")
    assert ended.talk == "error: there is no project 'baskt'\nhint: did you mean 'basket'?\n"


@pytest.mark.feature("E-03")
def test_what_cannot_be_imported_is_one_line_and_code_3(imported: Imported, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", tmp_path / "gone"):
        ended = imported.program.run("project", "import", str(source), "--quiet")
        assert ended.code == 3
        assert ended.talk.startswith("error: ")
        assert len(ended.talk.splitlines()) == 2
    assert len(imported.program.run("project", "list", "--json").document["projects"]) == 1


@pytest.mark.feature("E-01")
def test_the_history_says_what_happened(imported: Imported) -> None:
    events = imported.program.run("history", "basket", "--json").document["events"]
    assert [event["change"]["target_type"] for event in events] == ["TIMELINE"]
    by_id = imported.program.run("history", imported.project_id)
    assert events[0]["time"] in by_id.data
    assert len(by_id.data.splitlines()) == 1


@pytest.mark.feature("E-03")
def test_a_moment_is_written_to_a_folder_whole(imported: Imported) -> None:
    place = imported.program.run("history", "basket", "--json").document["events"][0]["place"]
    for number, moment in enumerate((place, "now")):
        folder = imported.program.place / str(number)
        ended = imported.program.run("replay", "basket", "--at", moment, "--into", str(folder))
        assert (ended.code, ended.data) == (0, f"{folder}\n")
        git(folder, "init", "--quiet")
        git(folder, "add", "--all")
        assert git(folder, "write-tree") == git(imported.repository, "rev-parse", "HEAD^{tree}")
    ended = imported.program.run("replay", "basket", "--at", "now", "--json")
    assert (imported.program.place / ended.document["folder"] / "src" / "basket.py").exists()


@pytest.mark.feature("E-03")
def test_a_moment_that_is_none_is_told_and_nothing_is_written(imported: Imported) -> None:
    for moment in ("yesterday", "2001-01-01", "evt_none", "-x", "1-00"):
        ended = imported.program.run("replay", "basket", "--at", moment, "--into", "never")
        assert (ended.code, ended.data) == (3, ""), moment
        assert ended.talk.startswith("error: ")
        assert not (imported.program.place / "never").exists()


@pytest.mark.feature("E-03")
def test_an_age_is_a_moment_and_no_option(imported: Imported) -> None:
    ended = imported.program.run("replay", "basket", "--at", "-0m", "--into", "age")
    assert ended.code == 0, ended.talk


@pytest.mark.feature("E-03")
def test_a_folder_with_content_is_not_written(imported: Imported) -> None:
    (imported.program.place / "mine").mkdir()
    (imported.program.place / "mine" / "kept").write_text("kept")
    ended = imported.program.run("replay", "basket", "--at", "now", "--into", "mine")
    assert ended.code == 3
    assert [entry.name for entry in (imported.program.place / "mine").iterdir()] == ["kept"]


@pytest.mark.feature("E-03")
def test_without_a_change_the_patch_is_empty(imported: Imported) -> None:
    assert imported.program.run("diff", "basket").data == ""
    assert imported.program.run("diff", "basket", "--json").document["patch"] == ""
    ended = imported.program.run("project", "export", "basket", "--patch", "-o", "out.patch")
    assert (ended.code, (imported.program.place / "out.patch").read_bytes()) == (0, b"")
    assert imported.program.run("project", "export", "basket").code == 2


@pytest.mark.feature("E-07")
def test_a_job_is_queued_listed_shown_and_cancelled(program: Program, repository: Path) -> None:
    _import(program, repository)
    ended = program.run("job", "run", "basket")
    job_id = ended.data.strip()
    assert ended.code == 0
    assert "enchanted up" in ended.talk
    shown = program.run("job", "show", job_id, "--json").document
    assert (shown["job"]["state"], len(shown["tickets"])) == ("queued", 1)
    assert program.run("job", "run", "basket").code == 3
    assert program.run("job", "cancel", job_id, "--reason", "enough").data == f"{job_id} cancelled\n"
    listed = program.run("job", "list", "--project", "basket", "--json").document["jobs"]
    assert [(job["id"], job["state"]) for job in listed] == [(job_id, "cancelled")]
    watched = program.run("job", "watch", job_id)
    assert watched.code == 1
    assert watched.data.startswith("cancelled  enough")
    assert program.run("job", "show", "job_none").code == 3
    assert program.run("job", "run", "basket", "--playbook", "none").code == 3


@pytest.mark.feature("E-02")
def test_everything_is_verified_and_the_checkpoint_remembered(imported: Imported) -> None:
    ended = imported.program.run("verify", "--json")
    assert (ended.code, ended.document["passed"]) == (0, True)
    scopes = {entry["scope"] for entry in ended.document["checks"]}
    assert scopes == {"store", "basket history", "basket content"}
    assert _note(imported).read_text("utf-8")
    text = imported.program.run("verify", "basket")
    assert text.code == 0
    assert all(line.startswith("passed ") for line in text.data.splitlines())
    assert imported.program.run("verify", "none").code == 3


@pytest.mark.feature("E-02")
def test_a_history_that_forgot_what_was_seen_is_caught(imported: Imported) -> None:
    assert imported.program.run("verify").code == 0
    kept = _note(imported).read_text("utf-8")
    lines = kept.splitlines(keepends=True)
    _note(imported).write_text("".join((lines[0], "999\n", *lines[2:])), "utf-8")
    ended = imported.program.run("verify")
    assert ended.code == 1
    assert "FAILED basket" in ended.data
    _note(imported).write_text(kept, "utf-8")


@pytest.mark.feature("E-02")
@pytest.mark.parametrize("kind", ["*.sst", "MANIFEST-*"], ids=["records", "index"])
def test_a_flipped_byte_in_the_store_is_caught(program: Program, repository: Path, kind: str) -> None:
    _import(program, repository)
    largest = max((program.data / "store").rglob(kind), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 3] ^= 0x10
    largest.write_bytes(content)
    ended = program.run("verify")
    assert ended.code == 1
    assert "FAILED store" in ended.data
    assert "Traceback" not in ended.talk + ended.data


@pytest.mark.feature("K-01")
def test_a_folder_in_use_names_the_process_that_has_it(program: Program) -> None:
    owner.open_folder(program.data)
    with owner.lock_folder(program.data):
        ended = program.run("up", "--no-demo", "--exit")
    assert ended.code == 4
    assert f"in use by process {os.getpid()}" in ended.talk
    assert "every command reaches it by itself" in ended.talk


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("way", ["here", "hub"], ids=str)
def test_before_anything_was_done_commands_say_how_to_begin(program: Program, way: str) -> None:
    with program.hub() if way == "hub" else nullcontext():
        for words in (("project", "list"), ("job", "list"), ("verify",)):
            ended = program.run(*words)
            assert ended.code == 0
            assert ended.talk


def _note(imported: Imported) -> Path:
    return imported.program.data / "checkpoints" / f"{imported.project_id}.note"
