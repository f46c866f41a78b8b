# SPDX-License-Identifier: Apache-2.0
"""Make `services/enchanted/generated` from the `.proto` files beside this script.

Generated code lives apart from ours, is made by this script alone, and is committed, so that running the
platform needs no compiler. The failure avoided is drift: `--check` generates again into a temporary folder
and fails, naming the files, when the committed tree is not what the `.proto` files say.

protoc derives Python import paths from the path of the `.proto` file, which would put our messages at
`enchanted.<room>.v1`, inside the packages of the rooms themselves. Every such import is rewritten to
`enchanted.generated.<room>.v1`; the protobuf package names on the wire stay `enchanted.<room>.v1`.

    python proto/generate.py            write the tree
    python proto/generate.py --check    exit 1 if the tree is stale
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SPDX_LINE = "# SPDX-License-Identifier: Apache-2.0\n"
PACKAGE = "enchanted"
GENERATED_PACKAGE = f"{PACKAGE}.generated"
SUFFIXES = frozenset({".py", ".pyi"})

_IMPORT = re.compile(rf"^from {PACKAGE}\.", re.MULTILINE)
_MODULE_NAME = re.compile(rf"(BuildTopDescriptorsAndMessages\(DESCRIPTOR, '){PACKAGE}\.")
_SERVICE = re.compile(r"^service\s+\w+", re.MULTILINE)


class GenerationError(Exception):
    """The tree could not be made; the text says why and what to do."""


def _run_protoc(proto_root: Path, protos: list[Path], output: Path) -> None:
    """Run protoc with the gRPC and mypy plugins of this interpreter's environment."""
    scripts = Path(sysconfig.get_path("scripts"))
    arguments = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{proto_root}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--mypy_grpc_out=quiet:{output}",
        *(proto.as_posix() for proto in protos),
    ]
    finished = subprocess.run(  # noqa: S603 - the arguments are this script's own and no shell is involved
        arguments, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise GenerationError(finished.stderr.strip() or "protoc failed without saying why")


def _rewritten(text: str) -> str:
    """Return generated source with its imports moved under `enchanted.generated`, the licence line first."""
    text = _IMPORT.sub(f"from {GENERATED_PACKAGE}.", text)
    text = _MODULE_NAME.sub(rf"\g<1>{GENERATED_PACKAGE}.", text)
    return SPDX_LINE + text


def _package_marker(relative_folder: Path) -> str:
    """Return the text of the `__init__.py` of one generated folder."""
    if relative_folder == Path():
        summary = "Protobuf and gRPC code made from `proto/` by `make proto`: one folder a room, as there."
    else:
        summary = f"Generated from `proto/{PACKAGE}/{relative_folder.as_posix()}`."
    return f'{SPDX_LINE}"""{summary}"""\n'


def generate(proto_root: Path) -> dict[Path, str]:
    """Compile every `.proto` file under `proto_root/enchanted`.

    Args:
        proto_root: Folder that protoc resolves imports against; it holds `enchanted/<room>/v1/*.proto`.

    Returns:
        The text of each generated file by its path relative to the generated package.

    Raises:
        GenerationError: There is nothing to compile, or protoc refused a file.
    """
    protos = sorted(path.relative_to(proto_root) for path in (proto_root / PACKAGE).rglob("*.proto"))
    if not protos:
        raise GenerationError(f"no .proto files under {proto_root / PACKAGE}: add one before generating")
    without_service = {
        proto.with_suffix("").as_posix()
        for proto in protos
        if not _SERVICE.search((proto_root / proto).read_text(encoding="utf-8"))
    }
    files: dict[Path, str] = {}
    with tempfile.TemporaryDirectory(prefix="enchanted-proto-") as name:
        output = Path(name)
        _run_protoc(proto_root, protos, output)
        for made in sorted(path for path in output.rglob("*") if path.suffix in SUFFIXES):
            relative = made.relative_to(output)
            stem = relative.with_suffix("").as_posix()
            if stem.endswith("_pb2_grpc") and stem.removesuffix("_pb2_grpc") in without_service:
                continue
            files[relative.relative_to(PACKAGE)] = _rewritten(made.read_text(encoding="utf-8"))
    folders = {parent for path in files for parent in path.parents}
    files.update({folder / "__init__.py": _package_marker(folder) for folder in folders})
    return files


def existing(tree: Path) -> dict[Path, str]:
    """Return the generated files that `tree` holds now, by relative path; empty if it does not exist."""
    return {
        path.relative_to(tree): path.read_text(encoding="utf-8")
        for path in tree.rglob("*")
        if path.suffix in SUFFIXES
    }


def differences(wanted: dict[Path, str], found: dict[Path, str]) -> list[str]:
    """Return one line for each file that is missing, left over or different, sorted by path."""
    lines = []
    for path in sorted(wanted.keys() | found.keys()):
        if path not in found:
            lines.append(f"{path.as_posix()}: missing")
        elif path not in wanted:
            lines.append(f"{path.as_posix()}: no .proto file makes it")
        elif wanted[path] != found[path]:
            lines.append(f"{path.as_posix()}: differs")
    return lines


def write(wanted: dict[Path, str], tree: Path) -> int:
    """Make `tree` hold exactly `wanted`; touch only what differs, and return how many files did."""
    found = existing(tree)
    changed = 0
    for path in found.keys() - wanted.keys():
        (tree / path).unlink()
        changed += 1
    for path, text in wanted.items():
        if found.get(path) != text:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text, encoding="utf-8")
            changed += 1
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Generate or check, and return the exit code: 0 done or fresh, 1 stale or refused."""
    parser = argparse.ArgumentParser(description="Generate Python code from the .proto files.")
    parser.add_argument("--proto-root", type=Path, default=REPOSITORY / "proto", metavar="FOLDER")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "services" / PACKAGE / "generated", metavar="FOLDER"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the tree is stale")
    options = parser.parse_args(arguments)
    try:
        wanted = generate(options.proto_root.resolve())
    except GenerationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not options.check:
        sys.stdout.write(f"{write(wanted, options.out)} generated files changed, {len(wanted)} in all\n")
        return 0
    stale = differences(wanted, existing(options.out))
    if stale:
        stale.append("The generated code is stale: run `make proto` and commit the result.\n")
        sys.stderr.write("\n".join(stale))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
