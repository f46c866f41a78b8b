# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: signed tree heads in the form that independent tools read.

Whoever holds an older checkpoint can prove that history was rewritten; a signature in a form of our own would
ask them to trust our verifier. So a checkpoint is a C2SP tlog-checkpoint in a C2SP signed note.

Sources: c2sp.org/tlog-checkpoint (origin, size and root, a line each), c2sp.org/signed-note v1.0.0 (envelope,
key id, Ed25519 signature type 0x01; at least 16 signatures are accepted, those of unknown keys ignored), and
the text form of a verifier's key of golang.org/x/mod/sumdb/note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from enchanted.history.merkle import HASH_BYTES
from enchanted.history.model import CheckpointError

NOTE_CHARACTERS_MAX: Final = 100_000
_ED25519: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_DASH: Final = "\u2014"
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_LINES_MIN: Final = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @staticmethod
    def parse(text: str) -> Checkpoint:
        """Read what :meth:`text` makes; further lines are allowed and ignored, as the format has it.

        Raises:
            CheckpointError: If it is not the text of a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) <= _LINES_MIN or lines.pop() or not all(lines):
            raise CheckpointError("a checkpoint has the lines origin, size and root, each ended")
        if not _SIZE.fullmatch(lines[1]):
            raise CheckpointError("the size of a checkpoint is not a number without leading zeroes")
        root = _decoded(lines[2])
        if len(root) != HASH_BYTES:
            raise CheckpointError("the root of a checkpoint does not have 32 bytes")
        return Checkpoint(lines[0], int(lines[1]), root)


@dataclass(frozen=True, slots=True)
class CheckpointVerifier:
    """Whose signature makes a checkpoint of ``origin`` valid; the key's name is the origin."""

    origin: str
    key: Ed25519PublicKey

    @property
    def verifier_key(self) -> str:
        """The key as tools for signed notes take it: ``<name>+<key id>+<base64 of type and key>``."""
        encoded = base64.b64encode(_ED25519 + self.key.public_bytes_raw()).decode()
        return f"{self.origin}+{key_id(self.origin, self.key).hex()}+{encoded}"

    def open(self, note: str) -> Checkpoint:
        """Check the signature and read the checkpoint.

        Raises:
            CheckpointError: If the note is malformed, of another log, or not signed by this key.
        """
        text, signatures = _parts(note)
        own = [signature for signature in signatures if self._made(signature)]
        if not own:
            raise CheckpointError("the checkpoint is not signed by this log's key")
        for _, encoded in own:
            self._verify(text, _decoded(encoded)[_KEY_ID_BYTES:])
        checkpoint = Checkpoint.parse(text)
        if checkpoint.origin != self.origin:
            raise CheckpointError("the checkpoint is one of another log")
        return checkpoint

    def _made(self, signature: tuple[str, str]) -> bool:
        name, encoded = signature
        return name == self.origin and _decoded(encoded)[:_KEY_ID_BYTES] == key_id(self.origin, self.key)

    def _verify(self, text: str, signature: bytes) -> None:
        try:
            self.key.verify(signature, text.encode())
        except InvalidSignature as error:
            raise CheckpointError("the signature of the checkpoint is not valid") from error


@dataclass(frozen=True, slots=True)
class CheckpointSigner:
    """Signs the checkpoints of every log of this hub with one key.

    Attributes:
        key: The hub's checkpoint key.
        host: First part of every origin, such as ``enchanted`` or the hub's domain.
    """

    key: Ed25519PrivateKey
    host: str = "enchanted"

    def verifier(self, tenant: str, log: str) -> CheckpointVerifier:
        """Verifier of a log's checkpoints; the log's origin is ``<host>/<tenant>/<log>``."""
        return CheckpointVerifier(f"{self.host}/{tenant}/{log}", self.key.public_key())

    def sign(self, tenant: str, log: str, size: int, root: bytes) -> str:
        """A signed note; the same tree head always gives the same note."""
        verifier = self.verifier(tenant, log)
        text = Checkpoint(verifier.origin, size, root).text()
        signature = key_id(verifier.origin, verifier.key) + self.key.sign(text.encode())
        return f"{text}\n{_DASH} {verifier.origin} {base64.b64encode(signature).decode()}\n"


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """The four bytes by which a note names an Ed25519 key (c2sp.org/signed-note, "Ed25519 signatures")."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest()[:_KEY_ID_BYTES]


def _parts(note: str) -> tuple[str, list[tuple[str, str]]]:
    """Text with its last newline, and name and base64 of each signature."""
    if len(note) > NOTE_CHARACTERS_MAX or any(character < " " and character != "\n" for character in note):
        raise CheckpointError("the note is too long or has control characters")
    text, separator, rest = note.rpartition("\n\n")
    if not separator or not rest.endswith("\n"):
        raise CheckpointError("the note has no signature")
    return text + "\n", [_signature(line) for line in rest.removesuffix("\n").split("\n")]


def _signature(line: str) -> tuple[str, str]:
    dash, *fields = line.split(" ")
    if dash != _DASH or len(fields) != 2 or not all(fields):  # noqa: PLR2004 - a name and a signature
        raise CheckpointError("a signature line of the note is malformed")
    return fields[0], fields[1]


def _decoded(encoded: str) -> bytes:
    """Strict standard base64: one text for each value, so that a changed character never goes unnoticed."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointError("the note has malformed base64") from error
    if base64.b64encode(decoded).decode() != encoded:
        raise CheckpointError("the note has malformed base64")
    return decoded
