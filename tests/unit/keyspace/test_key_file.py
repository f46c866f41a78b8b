# SPDX-License-Identifier: Apache-2.0
"""The key file: made once, private, and refused with advice when it is not as it should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enchanted.keyspace import KeyFileError, TenantId
from enchanted.keyspace.key_file import load, load_or_create

ACME = TenantId("acme")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "root.key"
    load_or_create(path, os.urandom)
    return path


@pytest.mark.feature("E-17")
def test_a_new_key_file_is_readable_by_its_owner_only(key_file: Path) -> None:
    assert key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.feature("E-17")
def test_the_keys_are_the_same_after_a_restart(key_file: Path) -> None:
    first, second = load_or_create(key_file, os.urandom), load_or_create(key_file, os.urandom)
    assert first.content_key(ACME, "prj_1") == second.content_key(ACME, "prj_1")
    assert first.search_key(ACME) == second.search_key(ACME)


@pytest.mark.feature("E-17")
def test_every_tenant_project_and_purpose_has_a_key_of_its_own(key_file: Path) -> None:
    ring = load(key_file)
    secrets = [
        ring.content_key(ACME, "prj_1").secret,
        ring.content_key(ACME, "prj_2").secret,
        ring.content_key(TenantId("acm"), "eprj_1").secret,
        ring.search_key(ACME),
        ring.signing_key("token").private_bytes_raw(),
        ring.signing_key("checkpoint").private_bytes_raw(),
    ]
    assert len(set(secrets)) == len(secrets)


@pytest.mark.feature("E-17")
def test_a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it(key_file: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load(key_file)


@pytest.mark.feature("E-17")
@pytest.mark.parametrize("position", [0, 25, 60, 88])
def test_a_damaged_key_file_is_refused_rather_than_used(key_file: Path, position: int) -> None:
    text = key_file.read_text()
    replacement = "0" if text[position] != "0" else "1"
    key_file.write_text(text[:position] + replacement + text[position + 1 :])
    with pytest.raises(KeyFileError, match="damaged"):
        load(key_file)


@pytest.mark.feature("E-17")
def test_a_lost_key_is_not_replaced_where_something_was_sealed_with_it(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="put back a copy"):
        load_or_create(tmp_path / "root.key", os.urandom, may_create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.feature("E-17")
def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"absent\.key"):
        load(tmp_path / "absent.key")
