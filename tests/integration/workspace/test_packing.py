# SPDX-License-Identifier: Apache-2.0
"""What is packed of a folder or an address, and that the person's own files are only ever read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from enchanted.workspace import PackedSource, PackSourceError, pack_source
from tests.integration.workspace.scene import RunGit


class Packing:
    """Packs, and looks into the pack."""

    def __init__(self, folder: Path, git: RunGit) -> None:
        self._folder = folder
        self._git = git
        self._count = 0

    async def pack(self, source: Path | str) -> tuple[PackedSource, Path]:
        """The pack, and a repository made of nothing but it."""
        self._count += 1
        packed = await pack_source(str(source), self._folder / f"packed-{self._count}", lambda _: None)
        opened = self._folder / f"opened-{self._count}.git"
        self._git(self._folder, "init", "--quiet", "--bare", str(opened))
        self._git(opened, "index-pack", "--stdin", stdin=packed.pack_path.read_bytes())
        self._git(opened, "update-ref", "refs/heads/main", packed.commit)
        self._git(opened, "fsck", "--strict", "--no-dangling", "main")
        return packed, opened

    def files(self, opened: Path) -> dict[str, str]:
        """Paths and modes in the commit."""
        listed = self._git(opened, "-c", "core.quotePath=false", "ls-tree", "-r", "main").splitlines()
        return {line.partition("\t")[2]: line.split()[0] for line in listed}

    def text(self, opened: Path, path: str) -> str:
        return self._git(opened, "show", f"main:{path}")

    def subjects(self, opened: Path) -> list[str]:
        return self._git(opened, "log", "--format=%s", "main").splitlines()


@pytest.fixture
def packing(tmp_path: Path, git: RunGit) -> Packing:
    return Packing(tmp_path, git)


def everything(folder: Path) -> dict[str, tuple[object, ...]]:
    """Each file and folder with its content, mode and times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        kept = (status.st_mode, status.st_mtime_ns, status.st_ctime_ns, hashlib.sha256(content).hexdigest())
        found[str(path.relative_to(folder))] = kept
    return found


@pytest.mark.feature("E-03")
class TestARepository:
    async def test_a_clean_one_is_its_history(self, packing: Packing, repository: Path, git: RunGit) -> None:
        packed, opened = await packing.pack(repository)
        assert packed.commit == git(repository, "rev-parse", "HEAD")
        assert packed.name == "sample"
        assert packed.source == str(repository)
        assert packed.description == "4 commits"
        assert packing.files(opened)["src/tool.sh"] == "100755"
        assert packing.files(opened)["link"] == "120000"

    async def test_files_that_differ_from_the_head_are_one_more_commit(
        self, packing: Packing, repository: Path, git: RunGit
    ) -> None:
        (repository / ".gitignore").write_text("ignored\n*.log\n")
        (repository / "ignored").write_text("ignored\n")
        (repository / "untracked.txt").write_text("untracked\n")
        (repository / "forced.log").write_text("forced\n")
        git(repository, "add", "--force", "forced.log")
        (repository / "README.md").write_text("Changed.\n")
        (repository / "src" / "one.py").unlink()
        (repository / "src" / "two.py").chmod(0o755)
        (repository / "staged.txt").write_text("staged\n")
        git(repository, "add", "staged.txt")
        (repository / "staged.txt").write_text("and changed again\n")
        packed, opened = await packing.pack(repository)
        assert packing.subjects(opened)[:2] == ["Working tree as imported", "Merge"]
        assert packing.files(opened) == {
            ".gitignore": "100644",
            "README.md": "100644",
            "forced.log": "100644",
            "link": "120000",
            "side.txt": "100644",
            "src/tool.sh": "100755",
            "src/two.py": "100755",
            "staged.txt": "100644",
            "untracked.txt": "100644",
        }
        assert packing.text(opened, "README.md") == "Changed."
        assert packing.text(opened, "staged.txt") == "and changed again"
        assert "as they are" in packed.description

    async def test_the_same_files_again_are_the_same_commit(self, packing: Packing, repository: Path) -> None:
        (repository / "new").write_text("new\n")
        first, _ = await packing.pack(repository)
        second, _ = await packing.pack(repository)
        assert first.commit == second.commit

    @pytest.mark.parametrize("objects", ["packed", "loose"])
    async def test_nothing_of_it_is_written_not_even_a_time(
        self, packing: Packing, repository: Path, git: RunGit, objects: str
    ) -> None:
        if objects == "packed":
            git(repository, "gc", "--quiet")
        # Git would refresh the index for a file of another time with the same content,
        # and set the time of an object that it is about to write and finds.
        os.utime(repository / "README.md", (1, 1))
        (repository / "src" / "two.py").write_text("ONE = 1\n")
        (repository / "new.py").write_text("TWO = 2\n")
        before = everything(repository)
        await packing.pack(repository)
        assert everything(repository) == before

    async def test_programs_that_it_names_are_not_run(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        trap = tmp_path / "trap.sh"
        trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
        trap.chmod(0o755)
        for key in (
            "core.fsmonitor",
            "filter.x.clean",
            "filter.x.process",
            "diff.external",
            "core.sshCommand",
        ):
            git(repository, "config", key, str(trap))
        (repository / ".gitattributes").write_text("* filter=x diff=x\n")
        for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
            (repository / ".git" / "hooks" / hook).write_text(trap.read_text())
            (repository / ".git" / "hooks" / hook).chmod(0o755)
        (repository / "new").write_text("new\n")
        await packing.pack(repository)
        assert not (tmp_path / "sprung").exists()

    async def test_variables_that_point_git_elsewhere_do_not(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
            monkeypatch.setenv(name, str(tmp_path / "nowhere"))
        packed, _ = await packing.pack(repository)
        assert packed.commit == git(repository, "rev-parse", "HEAD")

    async def test_a_virtual_environment_that_nobody_ignores_is_left_out(
        self, packing: Packing, repository: Path
    ) -> None:
        for folder in ("my env [1]/lib", "src/__pycache__", "node_modules/x"):
            (repository / folder).mkdir(parents=True)
            (repository / folder / "file").write_text("made by a tool\n")
        (repository / "my env [1]" / "pyvenv.cfg").write_text("home = /usr\n")
        (repository / "new").write_text("new\n")
        _, opened = await packing.pack(repository)
        assert set(packing.files(opened)) == {
            "README.md", "link", "new", "side.txt", "src/one.py", "src/tool.sh", "src/two.py"
        }  # fmt: skip

    async def test_a_linked_working_tree_and_a_detached_head_are_their_own(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        linked = tmp_path / "linked"
        git(repository, "worktree", "add", "--quiet", "--detach", str(linked), "side")
        (linked / "only-here").write_text("here\n")
        before = everything(repository)
        packed, opened = await packing.pack(linked)
        assert packing.subjects(opened) == ["Working tree as imported", "Side", "First"]
        assert packed.name == "linked"
        assert everything(repository) == before

    async def test_a_submodule_is_kept_as_a_link(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "--quiet", str(repository), "outer")
        outer = tmp_path / "outer"
        git(
            outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "inner"
        )
        git(outer, "commit", "--quiet", "--message=Add inner")
        (outer / "inner" / "dirty").write_text("dirty\n")
        before = everything(outer)
        packed, opened = await packing.pack(outer)
        assert packing.files(opened)["inner"] == "160000"
        assert packed.commit == git(outer, "rev-parse", "HEAD")
        assert everything(outer) == before

    async def test_a_shallow_clone_is_packed_as_far_as_its_history_is_there(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{repository}", "shallow")
        (tmp_path / "shallow" / "new").write_text("new\n")
        before = everything(tmp_path / "shallow")
        packed, opened = await packing.pack(tmp_path / "shallow")
        assert packing.subjects(opened) == ["Working tree as imported", "Merge", "Second", "Side"]
        assert git(opened, "rev-parse", "--is-shallow-repository") == "false"
        assert packing.text(opened, "src/two.py") == "TWO = 2"
        assert "as far as its history is here" in packed.description
        assert everything(tmp_path / "shallow") == before

    async def test_files_that_a_sparse_checkout_leaves_out_are_not_taken_for_removed(
        self, packing: Packing, repository: Path, git: RunGit
    ) -> None:
        git(repository, "sparse-checkout", "set", "--cone", "src")
        assert not (repository / "nothing").exists()
        git(repository, "sparse-checkout", "set", "--no-cone", "/README.md")
        assert not (repository / "src").exists()
        packed, _ = await packing.pack(repository)
        assert packed.commit == git(repository, "rev-parse", "HEAD")

    async def test_a_bare_one_is_its_history(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
        packed, _ = await packing.pack(tmp_path / "bare.git")
        assert (packed.name, packed.commit) == ("bare", git(repository, "rev-parse", "HEAD"))

    async def test_one_without_a_commit_is_its_files(
        self, packing: Packing, git: RunGit, tmp_path: Path
    ) -> None:
        git(tmp_path, "init", "--quiet", "fresh")
        with pytest.raises(PackSourceError, match="nothing to import"):
            await packing.pack(tmp_path / "fresh")
        (tmp_path / "fresh" / "a").write_text("a\n")
        _, opened = await packing.pack(tmp_path / "fresh")
        assert packing.files(opened) == {"a": "100644"}

    async def test_one_in_the_sha256_format_is_refused_by_name(
        self, packing: Packing, git: RunGit, tmp_path: Path
    ) -> None:
        git(tmp_path, "init", "--quiet", "--object-format=sha256", "other")
        (tmp_path / "other" / "a").write_text("a\n")
        with pytest.raises(PackSourceError, match="sha256 format"):
            await packing.pack(tmp_path / "other")

    async def test_one_with_missing_objects_is_refused_in_one_line(
        self, packing: Packing, repository: Path, git: RunGit
    ) -> None:
        blob = git(repository, "rev-parse", "HEAD:side.txt")
        (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
        with pytest.raises(PackSourceError, match=blob) as refused:
            await packing.pack(repository)
        assert "\n" not in str(refused.value)


@pytest.mark.feature("E-03")
class TestProgramsThatOthersName:
    """A canary is a program that leaves a mark if it is run."""

    @pytest.fixture
    def canary(self, tmp_path: Path) -> Iterator[Path]:
        """The program; at the end there must be no mark of it."""
        program = tmp_path / "canary.sh"
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sung\ncat\n")
        program.chmod(0o755)
        yield program
        assert not (tmp_path / "sung").exists()

    @pytest.mark.parametrize("missing", ["HEAD:side.txt", "HEAD^{tree}", "HEAD"])
    @pytest.mark.parametrize("way", ["uploadpack", "gitProxy"])
    async def test_a_partial_clone_fetches_nothing_and_is_refused_in_one_line(
        self, packing: Packing, repository: Path, git: RunGit, canary: Path, way: str, missing: str
    ) -> None:
        complete = repository.with_name("complete.git")
        git(repository, "clone", "--quiet", "--bare", str(repository), str(complete))
        settings = {
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.promisor": "true",
            "remote.origin.partialCloneFilter": "blob:none",
        }
        if way == "uploadpack":
            settings["remote.origin.url"] = str(complete)
            settings["remote.origin.uploadpack"] = f"{canary} </dev/null;git-upload-pack"
        else:
            settings["remote.origin.url"] = "git://127.0.0.1/complete.git"
            settings["core.gitProxy"] = str(canary)
        name = git(repository, "rev-parse", missing)
        for key, value in settings.items():
            git(repository, "config", key, value)
        (repository / ".git" / "objects" / name[:2] / name[2:]).unlink()
        with pytest.raises(PackSourceError, match="is a partial clone: fetch what is missing") as refused:
            await packing.pack(repository)
        assert "\n" not in str(refused.value)

    @staticmethod
    def name_programs(git: RunGit, folder: Path, canary: Path) -> None:
        """Have a repository name the canary wherever Git could run it, and a reason to."""
        for key in ("filter.x.clean", "filter.x.process", "core.fsmonitor"):
            git(folder, "config", key, str(canary))
        (folder / ".gitattributes").write_text("* filter=x\n")
        os.utime(folder / "README.md", (1, 1))

    @pytest.mark.parametrize("odd", ["inner", "in*ner [1]", ":(top)", "#"])
    async def test_a_submodule_is_not_looked_into(
        self, packing: Packing, repository: Path, git: RunGit, canary: Path, odd: str
    ) -> None:
        git(repository, "clone", "--quiet", str(repository), f"./{odd}")
        git(repository, "add", "--", f"./{odd}" if odd != "in*ner [1]" else "in*")
        git(repository, "commit", "--quiet", "--message=Add a submodule")
        self.name_programs(git, repository / odd, canary)
        (repository / "new").write_text("new\n")
        _, opened = await packing.pack(repository)
        assert packing.files(opened)[odd] == "160000"
        assert "new" in packing.files(opened)

    @pytest.mark.parametrize("added", ["untracked", "staged", "in place of a file"])
    async def test_a_repository_that_is_no_submodule_is_left_out(
        self, packing: Packing, repository: Path, git: RunGit, canary: Path, added: str
    ) -> None:
        place = "side.txt" if added == "in place of a file" else "embedded"
        (repository / "side.txt").unlink()
        git(repository, "clone", "--quiet", str(repository), place)
        if added == "staged":
            git(repository, "add", place)
        self.name_programs(git, repository / place, canary)
        (repository / "new").write_text("new\n")
        _, opened = await packing.pack(repository)
        assert "new" in packing.files(opened)
        assert not [path for path in packing.files(opened) if path.startswith((place, "side.txt"))]


@pytest.mark.feature("E-03")
class TestAPlainFolder:
    async def test_it_is_one_commit_of_its_files(self, packing: Packing, tmp_path: Path) -> None:
        folder = tmp_path / "Plain Folder"
        for path in (
            "a.txt",
            "src/b.py",
            ".venv/lib/x",
            "src/__pycache__/b.pyc",
            "node_modules/y",
            "build/z",
            "x.log",
        ):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(b"one\r\ntwo")
        (folder / ".venv" / "pyvenv.cfg").write_text("home = /usr\n")
        (folder / ".gitignore").write_text("/build/\n*.log\n")
        (folder / "src" / ".gitignore").write_text("!kept.log\n")
        (folder / "src" / "kept.log").write_text("kept\n")
        (folder / "run.sh").write_text("#!/bin/sh\n")
        (folder / "run.sh").chmod(0o755)
        (folder / "out").symlink_to("/etc")
        (folder / "broken").symlink_to("./nowhere//x/")
        (folder / "empty").mkdir()
        os.mkfifo(folder / "pipe")
        before = everything(folder)
        packed, opened = await packing.pack(folder)
        assert everything(folder) == before
        assert packing.files(opened) == {
            ".gitignore": "100644",
            "a.txt": "100644",
            "broken": "120000",
            "out": "120000",
            "run.sh": "100755",
            "src/.gitignore": "100644",
            "src/b.py": "100644",
            "src/kept.log": "100644",
        }
        assert packing.text(opened, "out") == "/etc"
        assert packing.text(opened, "broken") == "./nowhere//x/"
        assert packing.text(opened, "a.txt") == "one\r\ntwo"
        assert packing.subjects(opened) == ["Working tree as imported"]
        assert packed.name == "plain-folder"
        assert "without history" in packed.description

    async def test_the_same_folder_again_is_the_same_commit(self, packing: Packing, tmp_path: Path) -> None:
        (tmp_path / "plain").mkdir()
        (tmp_path / "plain" / "a").write_text("a\n")
        first, _ = await packing.pack(tmp_path / "plain")
        second, _ = await packing.pack(tmp_path / "plain")
        assert first.commit == second.commit

    async def test_a_folder_inside_a_repository_is_its_own_files(
        self, packing: Packing, repository: Path
    ) -> None:
        _, opened = await packing.pack(repository / "src")
        assert set(packing.files(opened)) == {"one.py", "tool.sh", "two.py"}

    async def test_repositories_inside_it_come_without_their_git_folders(
        self, packing: Packing, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        outer = tmp_path / "outer"
        git(tmp_path, "clone", "--quiet", str(repository), "outer/inner")
        _, opened = await packing.pack(outer)
        assert "inner/README.md" in packing.files(opened)
        assert not [path for path in packing.files(opened) if ".git" in path]

    async def test_odd_names_are_kept_to_the_byte(
        self, packing: Packing, tmp_path: Path, git: RunGit
    ) -> None:
        folder = tmp_path / "odd"
        folder.mkdir()
        names = [
            b"caf\xc3\xa9",
            b"latin-\xe9",
            b'"quoted"',
            b" spaces ",
            b"-rf",
            b"a\\b",
            b"*",
            b"#",
            b"!x",
            b":(top)",
        ]
        for name in names:
            (folder / os.fsdecode(name)).write_bytes(name)
        _, opened = await packing.pack(folder)
        listed = git(opened, "ls-tree", "-z", "--name-only", "main").strip("\0").split("\0")
        assert {os.fsencode(name) for name in listed} == set(names)

    async def test_a_name_that_cannot_be_imported_is_told(self, packing: Packing, tmp_path: Path) -> None:
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "line\nbreak").write_text("x")
        with pytest.raises(PackSourceError, match=r"line\\x0abreak.*control character"):
            await packing.pack(tmp_path / "bad")


@pytest.mark.feature("E-03")
class TestAnAddress:
    async def test_a_repository_is_cloned_with_its_history(
        self, packing: Packing, repository: Path, git: RunGit
    ) -> None:
        (repository / "dirty").write_text("dirty\n")
        before = everything(repository)
        packed, opened = await packing.pack(f"file://{repository}")
        assert packed.commit == git(repository, "rev-parse", "HEAD")
        assert packed.source == f"file://{repository}"
        assert len(packing.subjects(opened)) == 4
        assert everything(repository) == before

    async def test_one_without_a_commit_has_nothing_to_import(
        self, packing: Packing, git: RunGit, tmp_path: Path
    ) -> None:
        git(tmp_path, "init", "--quiet", "--bare", "empty.git")
        with pytest.raises(PackSourceError, match="nothing to import"):
            await packing.pack(f"file://{tmp_path}/empty.git")

    async def test_one_that_is_not_there_is_told_with_gits_reason(
        self, packing: Packing, tmp_path: Path
    ) -> None:
        with pytest.raises(
            PackSourceError, match=r"cannot be cloned: .*does not appear to be a git repository"
        ) as refused:
            await packing.pack(f"file://{tmp_path}/absent.git")
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("status", [401, 403, 404, 500])
    async def test_its_password_is_never_shown(self, packing: Packing, status: int) -> None:
        with refusing_server(status) as port:
            address = f"http://person:hunter2secret@127.0.0.1:{port}/a.git"
            with pytest.raises(PackSourceError, match="cannot be cloned") as refused:
                await packing.pack(address)
        chain = [refused.value, refused.value.__cause__]
        assert "hunter2secret" not in str(refused.value)
        assert "person" not in str(refused.value)
        assert len(chain) == 2

    async def test_a_password_where_no_address_has_one_is_not_shown_either(self, packing: Packing) -> None:
        with pytest.raises(PackSourceError, match=r"example.org:a.*cannot be cloned") as refused:
            await packing.pack("person:hunter2secret@example.org:a")
        assert "hunter2secret" not in str(refused.value)

    @pytest.mark.parametrize(
        "address", ["ext::sh -c 'touch sprung'", "--upload-pack=touch sprung", "ftp://a/b"]
    )
    async def test_an_address_that_would_run_something_is_refused(
        self, packing: Packing, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(PackSourceError):
            await packing.pack(address)
        assert [path for path in everything(tmp_path) if path.endswith("sprung")] == []

    @pytest.mark.parametrize("source", ["", " "])
    async def test_no_source_at_all_is_not_this_folder(self, packing: Packing, source: str) -> None:
        with pytest.raises(PackSourceError, match="no source is named"):
            await packing.pack(source)

    async def test_one_that_cannot_be_read_is_told_without_its_password(self, packing: Packing) -> None:
        with pytest.raises(
            PackSourceError, match=r"'http://\*\*\*' cannot be cloned: it cannot be read"
        ) as refused:
            await packing.pack("http://person:hunter2secret@[bad?token=hunter2secret")
        assert "hunter2secret" not in str(refused.value)

    async def test_what_is_neither_is_told(self, packing: Packing, tmp_path: Path) -> None:
        with pytest.raises(PackSourceError, match="neither a folder nor the address"):
            await packing.pack(tmp_path / "absent")
        for source in ("~nobody-of-this-name/x", "a\0b", "x" * 5000):
            with pytest.raises(PackSourceError, match="neither a folder nor the address"):
                await packing.pack(source)
        (tmp_path / "file").write_text("x")
        with pytest.raises(PackSourceError, match="neither a folder nor the address"):
            await packing.pack(tmp_path / "file")


@contextlib.contextmanager
def refusing_server(status: int) -> Iterator[int]:
    """A server that answers everything with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
