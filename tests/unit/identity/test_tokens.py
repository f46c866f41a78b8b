# SPDX-License-Identifier: Apache-2.0
"""Which tokens are believed: those that the hub signed, unchanged, for now, and for agents."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from joserfc.jws import JWSRegistry

from enchanted.identity import TokenRefusedError, TokenSigner, TokenVerifier
from enchanted.identity.tokens import key_id
from enchanted.keyspace import JOB_SCOPES, LOCAL_TENANT, OWNER_SCOPES, Principal, Scope, TenantId

pytestmark = pytest.mark.feature("E-07")

NOW: Final = 1_700_000_000
KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))
AGENTS: Final = Principal(LOCAL_TENANT, "agents:job_1", JOB_SCOPES, "job_1")
DAY: Final = 24 * 3600


def signer(key: Ed25519PrivateKey = KEY, issuer: str = "hub", now: int = NOW) -> TokenSigner:
    return TokenSigner(key, issuer, lambda: now * 1_000_000, lambda count: b"r" * count)


def verifier(now: int = NOW, issuer: str = "hub") -> TokenVerifier:
    return TokenVerifier(KEY.public_key(), issuer, lambda: now * 1_000_000)


TOKEN: Final = signer().job_token(AGENTS)


def refused(token: str, now: int = NOW) -> str:
    with pytest.raises(TokenRefusedError) as caught:
        verifier(now).verify(token)
    return caught.value.reason


def forged(claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
    """A token with any claims, signed with the right key."""
    named = {"alg": "Ed25519", "typ": "JWT", "kid": key_id(KEY.public_key()), **(header or {})}
    key = OKPKey.import_key(KEY)
    return jwt.encode(named, dict(claims), key, registry=JWSRegistry(algorithms=["Ed25519"]))


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@given(
    tenant=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
    subject=st.text(min_size=1, max_size=50),
    job=st.text(min_size=1, max_size=50),
    scopes=st.sets(st.sampled_from(sorted(JOB_SCOPES)), min_size=1),
)
def test_a_token_stands_for_whom_it_was_signed(
    tenant: str, subject: str, job: str, scopes: set[Scope]
) -> None:
    principal = Principal(TenantId(tenant), subject, frozenset(scopes), job)
    assert verifier().verify(signer().job_token(principal)) == principal


@given(st.data())
def test_a_token_with_a_changed_character_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(TOKEN) - 1))
    character = data.draw(st.characters())
    assume(character != TOKEN[place])
    refused(TOKEN[:place] + character + TOKEN[place + 1 :])


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_any_flipped_bit_is_refused(part: int) -> None:
    parts = TOKEN.split(".")
    for place in range(len(parts[part])):
        for bit in range(7):
            flipped = chr(ord(parts[part][place]) ^ 1 << bit)
            changed = parts[part][:place] + flipped + parts[part][place + 1 :]
            refused(".".join([*parts[:part], changed, *parts[part + 1 :]]))


@given(st.text())
def test_what_is_no_token_is_refused(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("cut", [0, 1, len(TOKEN) // 2, len(TOKEN) - 1])
def test_a_part_of_a_token_is_refused(cut: int) -> None:
    refused(TOKEN[:cut])


def test_a_token_of_another_key_is_refused_even_under_our_keys_name() -> None:
    assert refused(signer(OTHER_KEY).job_token(AGENTS)) == "another algorithm, key or type"
    header = {"alg": "Ed25519", "typ": "JWT", "kid": key_id(KEY.public_key())}
    key = OKPKey.import_key(OTHER_KEY)
    token = jwt.encode(header, claims_of(TOKEN), key, registry=JWSRegistry(algorithms=["Ed25519"]))
    assert refused(token) == "the signature does not verify"


def test_a_token_of_another_issuer_is_refused() -> None:
    assert refused(signer(issuer="elsewhere").job_token(AGENTS)) == "another issuer"


def test_an_unsigned_token_is_refused() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    assert refused(f"{header}.{TOKEN.split('.')[1]}.") == "another algorithm, key or type"


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    header = {"alg": "HS256", "typ": "JWT", "kid": key_id(KEY.public_key())}
    secret = OctKey.import_key(KEY.public_key().public_bytes_raw())
    token = jwt.encode(header, claims_of(TOKEN), secret, registry=JWSRegistry(algorithms=["HS256"]))
    assert refused(token) == "another algorithm, key or type"


@pytest.mark.parametrize("claim", ["iss", "sub", "iat", "nbf", "exp", "tenant", "scopes", "job"])
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    claims = claims_of(TOKEN)
    del claims[claim]
    assert "missing" in refused(forged(claims))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", ""),
        ("sub", 7),
        ("tenant", "../other"),
        ("tenant", "Local"),
        ("job", None),
        ("job", ""),
        ("scopes", []),
        ("scopes", "jobs:work"),
        ("scopes", ["everything"]),
        ("scopes", sorted(OWNER_SCOPES)),
        ("exp", "tomorrow"),
        ("exp", True),
        ("exp", NOW + DAY + 1),
        ("iat", float(NOW)),
        ("iat", NOW + 3600),
        ("nbf", NOW + 3600),
    ],
)
def test_a_token_whose_claim_means_nothing_here_is_refused(claim: str, value: object) -> None:
    assert verifier().verify(forged(claims_of(TOKEN))) == AGENTS
    refused(forged({**claims_of(TOKEN), claim: value}))


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"kid": "another"}, {"jku": "https://example.org"}])
def test_a_token_with_another_header_is_refused(header: Mapping[str, str]) -> None:
    assert refused(forged(claims_of(TOKEN), header)) == "another algorithm, key or type"


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(NOW, id="at once"),
        pytest.param(NOW - 30, id="signer's clock ahead by the skew"),
        pytest.param(NOW + 60, id="at its end"),
        pytest.param(NOW + 89, id="within the skew after its end"),
    ],
)
def test_a_token_holds_for_its_time_and_half_a_minute_of_skew(now: int) -> None:
    assert verifier(now).verify(signer().job_token(AGENTS, 60)) == AGENTS


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        pytest.param(NOW - 31, "not valid yet", id="signer's clock too far ahead"),
        pytest.param(NOW + 90, "expired", id="past its end"),
    ],
)
def test_a_token_does_not_hold_at_other_times(now: int, reason: str) -> None:
    assert refused(signer().job_token(AGENTS, 60), now) == reason


@pytest.mark.parametrize(
    "principal",
    [
        pytest.param(Principal(LOCAL_TENANT, "ada", JOB_SCOPES), id="no job"),
        pytest.param(Principal(LOCAL_TENANT, "ada", OWNER_SCOPES, "job_1"), id="an owner's scopes"),
        pytest.param(Principal(TenantId("../x"), "ada", JOB_SCOPES, "job_1"), id="no tenant"),
    ],
)
def test_nothing_but_agents_of_a_job_is_signed_for(principal: Principal) -> None:
    with pytest.raises(AssertionError):
        signer().job_token(principal)


@pytest.mark.parametrize("lifetime_seconds", [0, -1, DAY + 1])
def test_a_token_lives_a_day_at_most(lifetime_seconds: int) -> None:
    with pytest.raises(AssertionError):
        signer().job_token(AGENTS, lifetime_seconds)


def test_two_tokens_differ_in_their_ids() -> None:
    counter = iter(range(10))
    made = TokenSigner(KEY, "hub", lambda: NOW * 1_000_000, lambda count: bytes([next(counter)]) * count)
    assert claims_of(made.job_token(AGENTS))["jti"] != claims_of(made.job_token(AGENTS))["jti"]


def test_the_key_id_is_the_thumbprint_of_rfc_8037() -> None:
    # Appendix A.3 of the RFC: this private key's public half has this thumbprint.
    private = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    public = Ed25519PrivateKey.from_private_bytes(private).public_key()
    assert key_id(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
