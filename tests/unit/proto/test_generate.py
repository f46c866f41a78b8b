# SPDX-License-Identifier: Apache-2.0
"""Generated code is made from the `.proto` files, and a stale copy is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proto.generate import SPDX_LINE, main

EVENTS = """
syntax = "proto3";
package enchanted.sample.v1;
message Event { string event_id = 1; }
"""
SERVICE = """
syntax = "proto3";
package enchanted.other.v1;
import "enchanted/sample/v1/events.proto";
service Other { rpc Echo(enchanted.sample.v1.Event) returns (enchanted.sample.v1.Event); }
"""
USE = """
from enchanted.generated.other.v1 import other_pb2_grpc
from enchanted.generated.sample.v1 import events_pb2
event = events_pb2.Event.FromString(events_pb2.Event(event_id="e").SerializeToString())
print(event.event_id, type(event).__module__, event.DESCRIPTOR.full_name, other_pb2_grpc.OtherStub.__name__)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Write two `.proto` files, generate from them, and return the arguments that did."""
    root = tmp_path_factory.mktemp("repository")
    for path, text in {"sample/v1/events.proto": EVENTS, "other/v1/other.proto": SERVICE}.items():
        proto = root / "proto/enchanted" / path
        proto.parent.mkdir(parents=True)
        proto.write_text(text)
    package = root / "src/enchanted/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("")
    arguments = ["--proto-root", str(root / "proto"), "--out", str(root / "src/enchanted/generated")]
    assert main(arguments) == 0
    return arguments


@pytest.fixture
def tree(made: list[str]) -> Path:
    """Return the generated folder, just made."""
    assert main(made) == 0
    return Path(made[-1])


def test_the_code_runs_below_the_generated_package_under_its_name_on_the_wire(tree: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", USE], cwd=tree.parents[1], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [
        "e",
        "enchanted.generated.sample.v1.events_pb2",
        "enchanted.sample.v1.Event",
        "OtherStub",
    ]


def test_every_module_has_its_stub_and_says_its_licence(tree: Path) -> None:
    modules = {path for path in tree.rglob("*_pb2*.py") if "__pycache__" not in path.parts}
    assert {path.name for path in modules} == {"events_pb2.py", "other_pb2.py", "other_pb2_grpc.py"}
    assert all(path.with_suffix(".pyi").exists() for path in modules)
    assert all(path.read_text().startswith(SPDX_LINE) for path in tree.rglob("*.py*") if path.is_file())


def test_a_fresh_tree_passes_the_check(made: list[str], tree: Path) -> None:
    assert tree.exists()
    assert main([*made, "--check"]) == 0


def test_a_stale_tree_fails_the_check_and_each_difference_is_named(
    made: list[str], tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "sample/v1/events_pb2.pyi").unlink()
    (tree / "other/v1/other_pb2.py").write_text("changed")
    (tree / "left_over.py").write_text("")
    assert main([*made, "--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "left_over.py: no .proto file makes it",
        "other/v1/other_pb2.py: differs",
        "sample/v1/events_pb2.pyi: missing",
        "The generated code is stale: run `make proto` and commit the result.",
    ]
    assert main(made) == 0
    assert main([*made, "--check"]) == 0


def test_a_faulty_file_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = tmp_path / "proto/enchanted/sample/v1/events.proto"
    proto.parent.mkdir(parents=True)
    proto.write_text("message {")
    assert main(["--proto-root", str(tmp_path / "proto"), "--out", str(tmp_path / "out")]) == 1
    assert "events.proto:1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_proto_files_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--proto-root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("no .proto files under ")
