# SPDX-License-Identifier: Apache-2.0
"""Tokens of agents' processes: JWTs (RFC 7519) signed with Ed25519 (RFC 8037, named as in RFC 9864).

One algorithm and one key, named by its RFC 7638 thumbprint: a token that asks for another algorithm is
refused before any cryptography, which is what most attacks on JWTs come down to (RFC 8725). A token must be
the canonical encoding of what it says, because base64 lets some bits of the last digit change nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from enchanted.identity.model import (
    LIFETIME_SECONDS_MAX,
    TOKEN_CHARACTERS_MAX,
    TokenRefusedError,
    check_job_principal,
    principal_of,
)
from enchanted.keyspace import Principal

ALGORITHM: Final = "Ed25519"
_TYPE: Final = "JWT"
_PARTS: Final = 3
_JTI_BYTES: Final = 16
_MICROSECONDS: Final = 1_000_000


class TokenSigner:
    """Signs tokens for agents' processes. Safe to use from many threads."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        issuer: str,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Sign with a key.

        Args:
            key: The hub's key for tokens, and for nothing else.
            issuer: The hub's name.
            now_us: UTC microseconds since 1970.
            random_bytes: Randomness, for the tokens' ids.
        """
        self._key = OKPKey.import_key(key)
        self._header = {"alg": ALGORITHM, "typ": _TYPE, "kid": key_id(key.public_key())}
        self._issuer = issuer
        self._now_us = now_us
        self._random_bytes = random_bytes

    def job_token(self, principal: Principal, lifetime_seconds: int = LIFETIME_SECONDS_MAX) -> str:
        """A token for the agents of one job.

        Args:
            principal: With the job, and scopes that agents may have.
            lifetime_seconds: 1 to 86,400.
        """
        check_job_principal(principal)
        assert 0 < lifetime_seconds <= LIFETIME_SECONDS_MAX, "a token lives a day at most"
        now = self._now_us() // _MICROSECONDS
        claims = {
            "iss": self._issuer,
            "sub": principal.subject,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_seconds,
            "jti": self._random_bytes(_JTI_BYTES).hex(),
            "tenant": principal.tenant,
            "scopes": sorted(principal.scopes),
            "job": principal.job,
        }
        return jwt.encode(self._header, claims, self._key, registry=_registry())


class TokenVerifier:
    """Believes tokens that :class:`TokenSigner` made with one key. Safe to use from many threads."""

    def __init__(self, key: Ed25519PublicKey, issuer: str, now_us: Callable[[], int]) -> None:
        """Verify with a key.

        Args:
            key: Public half of the signer's.
            issuer: The only issuer that is believed.
            now_us: UTC microseconds since 1970; the signer's clock may differ by 30 seconds.
        """
        self._key = OKPKey.import_key(key)
        self._header = {"alg": ALGORITHM, "typ": _TYPE, "kid": key_id(key)}
        self._issuer = issuer
        self._now_us = now_us

    def verify(self, token: str) -> Principal:
        """The principal that a token stands for.

        Raises:
            TokenRefusedError: If it is not one of ours, was changed, or does not hold now.
        """
        if _header_of(token) != self._header:
            raise TokenRefusedError("another algorithm, key or type")
        try:
            claims = jwt.decode(token, self._key, registry=_registry()).claims
        except (JoseError, ValueError) as error:
            raise TokenRefusedError("the signature does not verify") from error
        return principal_of(claims, self._issuer, self._now_us() // _MICROSECONDS)


def key_id(key: Ed25519PublicKey) -> str:
    """Thumbprint of a public key (RFC 7638, with SHA-256)."""
    public = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"crv": "Ed25519", "kty": "OKP", "x": _encode(public)}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _encode(hashlib.sha256(canonical.encode()).digest())


def _registry() -> JWSRegistry:
    return JWSRegistry(algorithms=[ALGORITHM])


def _header_of(token: str) -> object:
    """What a token's header says, if all of its parts are canonical base64url (RFC 7515 appendix C)."""
    parts = token.split(".")
    if len(token) > TOKEN_CHARACTERS_MAX or len(parts) != _PARTS:
        raise TokenRefusedError("not a token")
    try:
        decoded = [
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in parts
        ]
        if [_encode(content) for content in decoded] != parts:
            raise TokenRefusedError("not a token in canonical form")
        return json.loads(decoded[0])
    except (binascii.Error, ValueError) as error:
        raise TokenRefusedError("not a token") from error


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
