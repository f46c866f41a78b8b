# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are C2SP's: what others signed opens here, and nothing that was touched does."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from enchanted.history.checkpoints import (
    NOTE_CHARACTERS_MAX,
    Checkpoint,
    CheckpointSigner,
    CheckpointVerifier,
    key_id,
)
from enchanted.history.model import CheckpointError

pytestmark = pytest.mark.feature("E-02")

SIGNER = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
VERIFIER = SIGNER.verifier("local", "prj_1")
ROOT = bytes(range(32))
NOTE = SIGNER.sign("local", "prj_1", 7, ROOT)

# The example of golang.org/x/mod/sumdb/note: it names the id that must come out of name and key.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def note_over(text: str) -> str:
    """A validly signed note over any text."""
    signature = base64.b64encode(key_id(VERIFIER.origin, VERIFIER.key) + SIGNER.key.sign(text.encode()))
    return f"{text}\n\u2014 {VERIFIER.origin} {signature.decode()}\n"


def test_a_signed_checkpoint_opens() -> None:
    assert VERIFIER.open(NOTE) == Checkpoint("enchanted/local/prj_1", 7, ROOT)


def test_a_checkpoint_has_the_published_form() -> None:
    text, signature = NOTE.split("\n\n")
    assert text == f"enchanted/local/prj_1\n7\n{base64.b64encode(ROOT).decode()}"
    dash, name, encoded = signature.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", "enchanted/local/prj_1")
    assert len(base64.b64decode(encoded)) == 4 + 64


def test_key_ids_and_verifier_keys_are_those_of_other_tools() -> None:
    name, identifier, encoded = PUBLISHED_KEY.split("+", 2)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
    assert key_id(name, public).hex() == identifier
    assert CheckpointVerifier(name, public).verifier_key == PUBLISHED_KEY


def test_the_same_head_always_gives_the_same_note() -> None:
    assert SIGNER.sign("local", "prj_1", 7, ROOT) == NOTE


def test_signatures_of_unknown_keys_are_ignored() -> None:
    text, own = NOTE.split("\n\n")
    others = "".join(
        f"\u2014 witness-{number} {base64.b64encode(bytes(68)).decode()}\n" for number in range(15)
    )
    assert VERIFIER.open(f"{text}\n\n{others}{own}").size == 7


def test_a_note_signed_only_by_others_is_refused() -> None:
    stranger = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(CheckpointError, match="not signed by this log"):
        VERIFIER.open(stranger.sign("local", "prj_1", 7, ROOT))


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(CheckpointError, match="not signed by this log"):
        VERIFIER.open(SIGNER.sign("local", "prj_2", 7, ROOT))
    with pytest.raises(CheckpointError, match="another log"):
        VERIFIER.open(note_over(Checkpoint("enchanted/local/prj_2", 7, ROOT).text()))


@given(st.integers(0, len(NOTE) - 1), st.characters(codec="utf-8"))
def test_a_note_with_any_other_character_is_refused(index: int, character: str) -> None:
    touched = NOTE[:index] + character + NOTE[index + 1 :]
    if touched != NOTE:
        with pytest.raises(CheckpointError):
            VERIFIER.open(touched)


@given(st.text(max_size=200))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        VERIFIER.open(text)


@pytest.mark.parametrize(
    "text",
    [
        "enchanted/local/prj_1\n7\n",
        f"enchanted/local/prj_1\n07\n{base64.b64encode(ROOT).decode()}\n",
        f"enchanted/local/prj_1\n-7\n{base64.b64encode(ROOT).decode()}\n",
        f"enchanted/local/prj_1\n7\n{base64.b64encode(ROOT[:31]).decode()}\n",
        f"enchanted/local/prj_1\n7\n{base64.b64encode(ROOT).decode()[:-1]}\n",
        f"enchanted/local/prj_1\n\n7\n{base64.b64encode(ROOT).decode()}\n",
    ],
    ids=["no root", "leading zero", "negative", "short root", "base64 without padding", "empty line"],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        VERIFIER.open(note_over(text))


def test_extension_lines_are_signed_and_ignored() -> None:
    text = Checkpoint(VERIFIER.origin, 7, ROOT).text() + "an extension\n"
    assert VERIFIER.open(note_over(text)) == Checkpoint(VERIFIER.origin, 7, ROOT)


def test_an_endless_note_is_refused_unread() -> None:
    with pytest.raises(CheckpointError, match="too long"):
        VERIFIER.open("x" * (NOTE_CHARACTERS_MAX + 1))
