# SPDX-License-Identifier: Apache-2.0
"""Every way to name a moment leads to the state that was in effect then."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
from pathlib import Path

import grpc
import pytest

from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.history import Place
from enchanted.rpc import CallError
from enchanted.workspace import FileChange
from tests.integration.workspace.scene import MINUTE_US, Workspace


class Past:
    """A project with a state a minute, the first at midnight."""

    def __init__(self, workspace: Workspace, project: api.Project) -> None:
        self.workspace = workspace
        self.project = project
        self.client = workspace.client()
        self.commits = [project.imported_commit]
        self.event_ids = [""]

    async def live(self, minutes: int) -> None:
        for number in range(1, minutes + 1):
            self.workspace.clock.wait(MINUTE_US)
            event_id = f"evt_minute{number}"
            prepared = await self.workspace.change(
                self.project.project_id, FileChange(f"file-{number}", b"x", ""), event_id=event_id
            )
            self.commits.append(prepared.head.commit)
            self.event_ids.append(event_id)

    async def at(self, text: str) -> api.Moment:
        return await self.client.resolve_moment(self.project.project_id, text)


@pytest.fixture
async def past(workspace: Workspace, repository: Path) -> Past:
    lived = Past(workspace, (await workspace.take(repository)).project)
    await lived.live(4)
    return lived


@pytest.mark.feature("E-03")
class TestNamed:
    @pytest.mark.parametrize("text", ["", "now", "2030-01-01T00:00:00Z", "2026-01-01T00:04:00Z", "-0s"])
    async def test_now_and_the_future_are_the_head(self, past: Past, text: str) -> None:
        assert (await past.at(text)).commit == past.commits[-1]

    @pytest.mark.parametrize(
        ("text", "minute"),
        [
            ("2026-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:59.999999Z", 0),
            ("2026-01-01T00:01:00Z", 1),
            ("2026-01-01T00:02:30", 2),
            ("2026-01-01T01:02:30+01:00", 2),
            ("-1m", 3),
            ("-61s", 2),
            ("-4m", 0),
        ],
    )
    async def test_a_time_between_two_states_is_the_earlier(self, past: Past, text: str, minute: int) -> None:
        moment = await past.at(text)
        assert moment.commit == past.commits[minute]
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        assert moment.time.ToDatetime(dt.UTC) == start + dt.timedelta(minutes=minute)

    async def test_an_event_is_the_state_after_its_transaction(self, past: Past) -> None:
        for commit, event_id in zip(past.commits[1:], past.event_ids[1:], strict=True):
            moment = await past.at(event_id)
            assert (moment.commit, moment.event_id) == (commit, event_id)

    async def test_a_commit_is_found_by_seven_digits_or_more_in_any_case(self, past: Past) -> None:
        for commit in past.commits:
            for digits in (commit, commit[:7], commit[:24], commit[:15].upper()):
                assert (await past.at(digits)).commit == commit

    async def test_a_place_is_found_as_it_is_shown_and_as_its_bare_versionstamp(self, past: Past) -> None:
        async for moment in past.client.list_moments("sample"):
            place = Place(moment.incarnation, moment.versionstamp)
            for text in (str(place), moment.versionstamp.hex()):
                found = await past.at(text)
                assert (found.commit, found.tree) == (moment.commit, moment.tree)
                assert (found.incarnation, found.versionstamp) == (1, moment.versionstamp)

    async def test_a_place_between_two_states_is_the_earlier(self, past: Past) -> None:
        moments = [moment async for moment in past.client.list_moments("sample")]
        for newer, older in itertools.pairwise(moments):
            before = int.from_bytes(newer.versionstamp[:10], "big") - 1
            text = str(Place(1, before.to_bytes(10, "big") + b"\xff\xff"))
            found = await past.at(text)
            assert found.commit == older.commit
            assert found.root_versionstamp == older.versionstamp

    async def test_the_name_of_a_moment_survives_what_comes_after(self, past: Past) -> None:
        texts = ["2026-01-01T00:02:30Z", past.commits[2], past.event_ids[2]]
        before = [(await past.at(text)).tree for text in texts]
        await past.workspace.change(past.project.project_id, FileChange("later", b"x", ""))
        assert [(await past.at(text)).tree for text in texts] == before


@pytest.mark.feature("E-03")
class TestNotThere:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("2025-12-31T23:59:59Z", "MOMENT_NOT_FOUND"),
            ("-1h", "MOMENT_NOT_FOUND"),
            ("evt_absent", "MOMENT_NOT_FOUND"),
            ("0000000", "MOMENT_NOT_FOUND"),
            ("1-" + "0" * 24, "MOMENT_NOT_FOUND"),
            ("0" * 24, "MOMENT_NOT_FOUND"),
        ],
    )
    async def test_a_moment_without_a_state_is_not_found(self, past: Past, text: str, reason: str) -> None:
        with pytest.raises(CallError) as refused:
            await past.at(text)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, reason)
        assert refused.value.metadata["text"] == text

    async def test_what_names_no_moment_is_an_invalid_argument_that_says_what_to_write(
        self, past: Past
    ) -> None:
        with pytest.raises(CallError, match="2026-01-31T12:00:00Z") as refused:
            await past.at("yesterday")
        assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_long_text_is_refused_in_an_error_of_a_line(self, past: Past) -> None:
        for text in ("x" * 100_000, "9" * 100_000, "-" + "9" * 100_000 + "d"):
            with pytest.raises(CallError) as refused:
                await past.at(text)
            assert len(refused.value.metadata["text"]) <= 200

    async def test_the_moments_of_another_project_are_not_here(
        self, past: Past, workspace: Workspace, tmp_path: Path
    ) -> None:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").write_text("x")
        other = (await workspace.take(tmp_path / "other")).project
        for text in (past.commits[1], past.event_ids[1]):
            with pytest.raises(CallError):
                await past.client.resolve_moment(other.project_id, text)


@pytest.mark.feature("E-03")
class TestListed:
    async def test_all_states_are_listed_newest_first_whatever_the_page(self, past: Past) -> None:
        for page_size in (0, 1, 2, 5):
            moments = [m async for m in past.client.list_moments("sample", page_size=page_size)]
            assert [moment.commit for moment in moments] == past.commits[::-1]

    @pytest.mark.parametrize("token", ["x", "AAAA", "/" * 28, "_" * 28])
    async def test_a_page_token_that_is_none_is_refused(self, past: Past, token: str) -> None:
        stub = workspace_pb2_grpc.WorkspaceStub(past.workspace.channel())
        with pytest.raises(CallError) as refused:
            await stub.ListMoments(api.ListMomentsRequest(project_id="sample", page_token=token))
        assert refused.value.reason == "PAGE_TOKEN_INVALID"

    async def test_a_made_up_token_past_the_end_begins_at_the_newest(self, past: Past) -> None:
        stub = workspace_pb2_grpc.WorkspaceStub(past.workspace.channel())
        token = base64.urlsafe_b64encode((1).to_bytes(8, "big") + b"\xff" * 12).decode()
        answer = await stub.ListMoments(api.ListMomentsRequest(project_id="sample", page_token=token))
        assert [moment.commit for moment in answer.moments] == past.commits[::-1]
