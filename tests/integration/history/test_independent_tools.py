# SPDX-License-Identifier: Apache-2.0
"""Checkpoints and proofs hold before a verifier that is not ours: Go's checksum database client."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from enchanted.history import merkle, records
from tests.integration.history.flight import LOG, SIGNER, Flight

pytestmark = [pytest.mark.feature("E-02"), pytest.mark.peers]

PROGRAM = """
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var given struct {
		Note, VerifierKey              string
		Size, OlderSize                int64
		Root, OlderRoot                tlog.Hash
		Leaves                         [][]byte
		Inclusion                      [][]tlog.Hash
		Consistency                    []tlog.Hash
	}
	check(json.NewDecoder(os.Stdin).Decode(&given))
	verifier, err := note.NewVerifier(given.VerifierKey)
	check(err)
	opened, err := note.Open([]byte(given.Note), note.VerifierList(verifier))
	check(err)
	if want := fmt.Sprintf("%s\\n%d\\n%v\\n", verifier.Name(), given.Size, given.Root); opened.Text != want {
		check(fmt.Errorf("the note says %q", strings.TrimSpace(opened.Text)))
	}
	for index, leaf := range given.Leaves {
		hash := tlog.RecordHash(leaf)
		check(tlog.CheckRecord(given.Inclusion[index], given.Size, given.Root, int64(index), hash))
	}
	check(tlog.CheckTree(given.Consistency, given.Size, given.Root, given.OlderSize, given.OlderRoot))
	fmt.Println("verified", len(given.Leaves))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
"""


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built; the test is skipped where it cannot be."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no go command")
    folder = tmp_path_factory.mktemp("verifier")
    (folder / "main.go").write_text(PROGRAM)
    for command in (
        ["mod", "init", "verifier"],
        ["get", "golang.org/x/mod@v0.29.0"],
        ["build", "-o", "verifier"],
    ):
        done = subprocess.run([go, *command], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"golang.org/x/mod cannot be had: {done.stderr.strip()[-200:]}")
    return folder / "verifier"


def base64_of(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(value).decode() for value in hashes]


async def test_go_verifies_the_checkpoint_every_leaf_and_the_growth(flight: Flight, verifier: Path) -> None:
    await flight.record_each(5)
    older = await flight.sealer().seal_now(flight.space, LOG)
    await flight.record_each(8)
    head = await flight.sealer().seal_now(flight.space, LOG)
    nodes = {
        flight.space.elements(records.NODE, key)[1:]: value
        for key, value in await flight.rows(records.NODE, LOG)
    }
    _, checkpoint = await flight.keyspace.run(flight.space, records.read_checkpoint, LOG, 0)
    given = {
        "Note": checkpoint.note,
        "VerifierKey": SIGNER.verifier("local", LOG).verifier_key,
        "Size": head.size,
        "Root": base64.b64encode(head.root_sha256).decode(),
        "OlderSize": older.size,
        "OlderRoot": base64.b64encode(older.root_sha256).decode(),
        "Leaves": base64_of([value for _, value in await flight.rows(records.LEAF, LOG)]),
        "Inclusion": [
            base64_of(
                await flight.keyspace.run(flight.space, records.read_inclusion_proof, LOG, index, head.size)
            )
            for index in range(head.size)
        ],
        "Consistency": base64_of(
            merkle.consistency_proof(older.size, head.size, lambda level, index: nodes[level, index])
        ),
    }
    done = subprocess.run([verifier], input=json.dumps(given), capture_output=True, text=True, check=False)  # noqa: ASYNC221 - our own program, which ends at once
    assert (done.stdout, done.stderr) == ("verified 13\n", "")
