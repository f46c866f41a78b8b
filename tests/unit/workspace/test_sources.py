# SPDX-License-Identifier: Apache-2.0
"""What is an address, what it is called, and that its password goes nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.workspace.model import check_name
from enchanted.workspace.sources import address_fault, is_address, name_of, redacted, without_credentials


@pytest.mark.feature("E-03")
class TestAddresses:
    @pytest.mark.parametrize(
        "source",
        [
            "https://example.org/a.git",
            "git@example.org:a/b.git",
            "ssh://a@b/c",
            "file:///a",
            "example.org:a",
            "ext::sh",
        ],
    )
    def test_an_address_is_one(self, source: str) -> None:
        assert is_address(source)

    @pytest.mark.parametrize("source", [".", "/a/b", "a/b", "~/a", "a", "./a:b", "/a:b", "c:/a"])
    def test_a_path_is_none(self, source: str) -> None:
        assert not is_address(source)

    @pytest.mark.parametrize(
        "address",
        [
            "ext::sh -c x",
            "ext::https://a/b",
            "ftp://a/b",
            "https:///b",
            "ssh://-oProxyCommand=x/b",
            "x+ssh://a/b",
            "http://[bad",
            "ssh://a]b/c",
        ],
    )
    def test_an_address_that_could_run_something_or_is_none_is_refused(self, address: str) -> None:
        assert address_fault(address)

    @pytest.mark.parametrize(
        "address", ["https://a/b", "http://a:1/b", "ssh://u@a/b", "git://a/b", "file:///a", "u@a:b"]
    )
    def test_an_ordinary_one_is_taken(self, address: str) -> None:
        assert address_fault(address) == ""


SECRETS = st.text("abcdefghijkXYZ0123456789-_", min_size=12, max_size=20)


@pytest.mark.feature("E-03")
class TestCredentials:
    @pytest.mark.parametrize(
        ("address", "shown"),
        [
            ("https://u:p@example.org:8443/a.git?token=1#x", "https://example.org:8443/a.git"),
            ("https://token@example.org/a", "https://example.org/a"),
            ("ssh://git:p@example.org/a", "ssh://git@example.org/a"),
            ("git@example.org:a", "git@example.org:a"),
            ("/a/b@c", "/a/b@c"),
            ("person:secret@example.org:a", "example.org:a"),
            ("http://[bad?token=secret", "http://[bad"),
            ("http://person:sec?ret@[bad", "http://***"),
        ],
    )
    def test_what_is_shown_has_none(self, address: str, shown: str) -> None:
        assert without_credentials(address) == shown

    @given(SECRETS, SECRETS, SECRETS)
    def test_no_line_of_git_tells_them(self, user: str, password: str, token: str) -> None:
        address = f"https://{user}:{password}@example.org/a?token={token}"
        said = f"unable to access '{address}': {user}:{password} and {password} and token={token}"
        told = redacted(said, address)
        assert not any(secret in told for secret in (user, password, token))
        assert "unable to access" in told


@pytest.mark.feature("E-03")
class TestNames:
    @pytest.mark.parametrize(
        ("source", "name"),
        [
            ("https://example.org/group/My.Project.git", "my.project"),
            ("git@example.org:group/tool.git", "tool"),
            ("git@example.org:tool", "tool"),
            ("/home/me/A Project/", "a-project"),
            ("/", "project"),
            ("/a/.hidden", "hidden"),
            ("/a/Ünï", "n"),
            ("/a/prj_1", "1"),
            ("http://[bad/tool", "tool"),
        ],
    )
    def test_a_name_is_made_from_the_last_part(self, source: str, name: str) -> None:
        assert name_of(source) == name

    @given(st.text(max_size=100))
    def test_every_source_gets_a_name_that_is_taken(self, source: str) -> None:
        check_name(name_of("/" + source))

    @given(st.text("[]:/@?#%.aZ1\u2100", max_size=30))
    def test_no_address_is_too_odd_to_be_judged_shown_and_named(self, rest: str) -> None:
        address = f"http://{rest}"
        assert "\n" not in address_fault(address) + redacted(address, address)
        assert without_credentials(address).startswith("http:")
        check_name(name_of(address))
