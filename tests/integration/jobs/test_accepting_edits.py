# SPDX-License-Identifier: Apache-2.0
"""An accepted edit is in the project, in its ticket and in the history, or in none of them."""

from __future__ import annotations

import asyncio
import hashlib

import grpc
import pytest

from enchanted import workspace
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import LEASE_SECONDS
from enchanted.jobs.client import JobsClient
from enchanted.rpc import CallError
from tests.integration.jobs.hub import FILES, Hub
from tests.integration.jobs.work import CODER, CRITIC, ORCHESTRATOR, SCOUT, claim, decision, do, plan, planned

pytestmark = [pytest.mark.feature("E-01"), pytest.mark.feature("E-07"), pytest.mark.feature("E-09")]


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def change(path: str, content: bytes | None, before: bytes | None = None) -> v1.FileChange:
    """A change of a file from what it was at first, unless told otherwise."""
    base = before or FILES.get(path)
    previous = sha256(base) if base is not None else ""
    return v1.FileChange(path=path, content=content, previous_hash=previous, diff_patch=f"a diff of {path}")


async def critic_at_work(hub: Hub, *paths: str) -> tuple[JobsClient, list[v1.Lease]]:
    """Agents with a Critic's ticket for each path."""
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned(*paths))
    for role in (SCOUT, CODER):
        for _ in paths:
            await do(agents, job_id, role)
    return agents, [await claim(agents, job_id, CRITIC) for _ in paths]


async def accept(
    agents: JobsClient, lease: v1.Lease, tree: str, *files: v1.FileChange, request_id: str = ""
) -> v1.AcceptEditResponse:
    return await agents.accept_edit(
        lease,
        expected_tree=tree,
        files=files,
        message="Modernise\n",
        outcome="1 part accepted",
        decisions=[decision(f"evt_why_{lease.ticket_id}")],
        artifacts=[v1.Artifact(name="review", content=b"a review")],
        request_id=request_id,
    )


async def test_an_accepted_edit_moves_the_head_and_finishes_the_ticket(hub: Hub) -> None:
    agents, (lease,) = await critic_at_work(hub, "app.py")
    before = await hub.head()
    response = await accept(agents, lease, before.tree, change("app.py", b"new = 1\n"))

    assert await hub.head() == workspace.Head(response.commit, response.tree)
    assert response.tree != before.tree
    assert (response.ticket.state, response.ticket.outcome) == (v1.TICKET_STATE_DONE, "1 part accepted")
    assert (await hub.tickets(lease.job_id))["Finish"].state == v1.TICKET_STATE_READY
    assert await agents.find_artifact(lease.job_id, lease.ticket_id, "review") == b"a review"


async def test_history_tells_of_the_edit_in_order_why_what_and_where_to(hub: Hub) -> None:
    agents, (lease,) = await critic_at_work(hub, "app.py")
    before = await hub.head()
    files = [change("app.py", b"new = 1\n"), change("lib.py", None), change("more.py", b"")]
    response = await accept(agents, lease, before.tree, *files)

    told = [event for event in await hub.events() if event.ticket_id == lease.ticket_id][1:]
    assert [event.WhichOneof("payload") for event in told] == [
        "decision",
        "state_change",
        "state_change",
        "state_change",
        "state_change",
        "system_signal",
    ]
    changed = [event.state_change for event in told[1:5]]
    assert [(each.target_type, each.target_resource) for each in changed] == [
        ("FILE_SYSTEM", "app.py"),
        ("FILE_SYSTEM", "lib.py"),
        ("FILE_SYSTEM", "more.py"),
        ("TIMELINE", "main"),
    ]
    assert [(each.previous_state_hash, each.new_state_hash) for each in changed[:3]] == [
        (sha256(FILES["app.py"]), sha256(b"new = 1\n")),
        (sha256(FILES["lib.py"]), ""),
        ("", sha256(b"")),
    ]
    assert changed[0].diff_patch == "a diff of app.py"
    timeline = changed[3]
    assert (timeline.previous_tree, timeline.new_tree) == (before.tree, response.tree)
    assert timeline.commit_id == response.commit
    assert {event.agent_role for event in told} == {events.AGENT_ROLE_CRITIC}


async def test_an_edit_accepted_twice_by_one_request_changes_once(hub: Hub) -> None:
    agents, (lease,) = await critic_at_work(hub, "app.py")
    tree = (await hub.head()).tree
    edit = change("app.py", b"new = 1\n")
    first = await accept(agents, lease, tree, edit, request_id="req_1")
    recorded = await hub.events()
    again = await accept(agents, lease, tree, edit, request_id="req_1")

    assert again == first
    assert await hub.events() == recorded


async def test_an_edit_that_was_checked_on_another_tree_changes_nothing(hub: Hub) -> None:
    agents, (first, second) = await critic_at_work(hub, "app.py", "lib.py")
    tree = (await hub.head()).tree
    await accept(agents, first, tree, change("app.py", b"new = 1\n"))
    before = (await hub.head(), await hub.events())
    with pytest.raises(CallError) as refused:
        await accept(agents, second, tree, change("lib.py", b"new = 2\n"))

    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ABORTED, "HEAD_MOVED")
    assert (await hub.head(), await hub.events()) == before
    head = await hub.head()
    assert (await accept(agents, second, head.tree, change("lib.py", b"new = 2\n"))).ticket.state


async def test_of_two_edits_checked_on_one_tree_at_once_one_is_accepted(hub: Hub) -> None:
    agents, (first, second) = await critic_at_work(hub, "app.py", "lib.py")
    tree = (await hub.head()).tree
    answers = await asyncio.gather(
        accept(agents, first, tree, change("app.py", b"new = 1\n")),
        accept(agents, second, tree, change("lib.py", b"new = 2\n")),
        return_exceptions=True,
    )

    accepted = [answer for answer in answers if isinstance(answer, v1.AcceptEditResponse)]
    refused = [answer for answer in answers if isinstance(answer, CallError)]
    assert [error.reason for error in refused] == ["HEAD_MOVED"]
    assert (await hub.head()).commit == accepted[0].commit
    moves = [event for event in await hub.events() if event.state_change.target_type == "TIMELINE"]
    assert [event.state_change.commit_id for event in moves][-1] == accepted[0].commit
    assert len([event for event in moves if event.job_id]) == 1


async def test_a_holder_that_was_declared_dead_changes_nothing(hub: Hub) -> None:
    agents, (old,) = await critic_at_work(hub, "app.py")
    tree = (await hub.head()).tree
    await agents.claim_ticket(old.job_id, "critic-2", [CRITIC])
    hub.clock.pass_seconds(LEASE_SECONDS)
    new = await claim(agents, old.job_id, CRITIC)
    before = (await hub.head(), await hub.events())
    with pytest.raises(CallError) as refused:
        await accept(agents, old, tree, change("app.py", b"old holder = 1\n"))

    assert (refused.value.code, refused.value.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LEASE_LOST",
    )
    assert (await hub.head(), await hub.events()) == before
    assert await agents.find_artifact(old.job_id, old.ticket_id, "review") is None
    assert (await accept(agents, new, tree, change("app.py", b"new = 1\n"))).ticket.attempts == 2


async def test_a_holder_that_dies_while_its_edit_is_prepared_has_changed_nothing_and_another_goes_on(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents, (old,) = await critic_at_work(hub, "app.py")
    tree = (await hub.head()).tree
    prepared = asyncio.Event()
    prepare = workspace.prepare_commit

    async def prepare_and_hang(*args: object, **kwargs: object) -> object:
        await prepare(*args, **kwargs)  # type: ignore[arg-type]
        prepared.set()
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(workspace, "prepare_commit", prepare_and_hang)
    accepting = asyncio.create_task(accept(agents, old, tree, change("app.py", b"new = 1\n")))
    await prepared.wait()
    accepting.cancel()
    await asyncio.gather(accepting, return_exceptions=True)
    monkeypatch.undo()

    assert (await hub.head()).tree == tree
    await hub.start(old.job_id)
    new = await claim(agents, old.job_id, CRITIC)
    assert (await accept(agents, new, tree, change("app.py", b"new = 1\n"))).ticket.attempts == 2


async def test_an_edit_of_a_cancelled_job_changes_nothing(hub: Hub) -> None:
    agents, (lease,) = await critic_at_work(hub, "app.py")
    before = await hub.head()
    await hub.owner.cancel_job(lease.job_id, "enough")
    with pytest.raises(CallError) as refused:
        await accept(agents, lease, before.tree, change("app.py", b"new = 1\n"))
    assert refused.value.reason == "JOB_NOT_RUNNING"
    assert await hub.head() == before


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(change("app.py", b"new", before=b"other"), "FILE_STALE", id="stale"),
        pytest.param(v1.FileChange(path="../x.py", content=b"new"), "PATH_INVALID", id="hostile"),
        pytest.param(change("app.py", FILES["app.py"]), "NOTHING_CHANGED", id="the same"),
    ],
)
async def test_an_edit_that_does_not_fit_the_tree_is_refused(
    hub: Hub, edit: v1.FileChange, reason: str
) -> None:
    agents, (lease,) = await critic_at_work(hub, "app.py")
    before = await hub.head()
    with pytest.raises(CallError) as refused:
        await accept(agents, lease, before.tree, edit)
    assert refused.value.reason == reason
    assert await hub.head() == before


async def test_the_orchestrator_accepts_no_edits(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    with pytest.raises(CallError) as refused:
        await accept(agents, lease, (await hub.head()).tree, change("app.py", b"new = 1\n"))
    assert refused.value.reason == "WRONG_TICKET"
