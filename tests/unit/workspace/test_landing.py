# SPDX-License-Identifier: Apache-2.0
"""Whatever a hub sends, nothing is written outside of the folder, and nothing over what is there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.workspace.checkouts import CheckoutError, Landing

FILE, EXECUTABLE, LINK, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o160000


def piece(path: str, mode: int = FILE, data: bytes = b"", path_bytes: bytes = b"") -> api.CheckoutResponse:
    return api.CheckoutResponse(path=path, mode=mode, data=data, path_bytes=path_bytes)


def land(folder: Path, pieces: Iterable[api.CheckoutResponse]) -> None:
    landing = Landing(folder)
    try:
        for part in pieces:
            landing.take(part)
        landing.finish()
    finally:
        landing.close()


@pytest.mark.feature("E-03")
class TestLanding:
    def test_files_modes_links_and_submodules_are_as_they_were(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "folder"
        land(
            folder,
            [
                piece("a", data=b"one "),
                api.CheckoutResponse(data=b"two"),
                piece("b/c/run", EXECUTABLE, b"#!"),
                piece("b/link", LINK, b"../a"),
                piece("broken", LINK, b"./nowhere/"),
                piece("empty"),
                piece("inner", SUBMODULE),
                piece("latin-\ufffd", FILE, b"odd", b"latin-\xe9"),
            ],
        )
        assert (folder / "a").read_bytes() == b"one two"
        assert (folder / "b" / "c" / "run").stat().st_mode & 0o777 == 0o755
        assert (folder / "a").stat().st_mode & 0o111 == 0
        assert os.readlink(folder / "broken") == "./nowhere/"  # noqa: PTH115 - a Path would drop the slash
        assert (folder / "b" / "link").read_bytes() == b"one two"
        assert (folder / "empty").read_bytes() == b""
        assert list((folder / "inner").iterdir()) == []
        assert Path(os.fsdecode(os.fsencode(folder) + b"/latin-\xe9")).read_bytes() == b"odd"

    def test_a_folder_that_holds_something_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(CheckoutError, match="not empty"):
            Landing(tmp_path)
        assert (tmp_path / "mine").read_text() == "mine"

    def test_a_file_in_the_folders_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(CheckoutError, match="cannot be used"):
            Landing(tmp_path / "file")

    @pytest.mark.parametrize(
        "path",
        ["../out", "/out", "a/../../out", "a//b", "a/", ".git/config", "a/.GIT/hooks/x", ".", "a\x00b"],
    )
    @pytest.mark.parametrize("mode", [FILE, LINK, SUBMODULE])
    def test_a_path_that_leads_elsewhere_is_refused(self, tmp_path: Path, path: str, mode: int) -> None:
        with pytest.raises(CheckoutError, match="must not be written"):
            land(tmp_path / "folder", [piece(path, mode, b"x")])
        assert [found.name for found in tmp_path.rglob("*") if not found.is_dir()] == []

    @pytest.mark.parametrize("target", ["/etc", "..", "sub"])
    def test_nothing_is_written_through_a_link(self, tmp_path: Path, target: str) -> None:
        with pytest.raises(CheckoutError, match="must not be written"):
            land(tmp_path / "folder", [piece("link", LINK, target.encode()), piece("link/file", FILE, b"x")])

    @pytest.mark.parametrize("second", [FILE, LINK, SUBMODULE])
    def test_a_path_given_twice_is_refused(self, tmp_path: Path, second: int) -> None:
        with pytest.raises(CheckoutError):
            land(tmp_path / "folder", [piece("a"), piece("a", second, b"x")])

    def test_a_file_in_the_place_of_a_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CheckoutError):
            land(tmp_path / "folder", [piece("a/b"), piece("a", LINK, b"x")])
