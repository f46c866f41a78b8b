# SPDX-License-Identifier: Apache-2.0
"""The state of a watched job, and how it is drawn: pure, so that it can be tested without a terminal.

A display fed by callbacks shows whatever came last and cannot be tried without a job. Here events and answers
go into a value, and the value is drawn: as a picture that redraws itself on a terminal, as lines elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from enchanted.cli.output import clean
from enchanted.views import EventView, JobView, TicketView

DECISIONS_SHOWN: Final = 6
AGENTS_SHOWN: Final = 8
_STATE_STYLES: Final = {
    "blocked": "dim",
    "ready": "cyan",
    "leased": "yellow",
    "done": "green",
    "rejected": "magenta",
    "failed": "red",
}
_KIND_STYLES: Final = {"accept": "green", "reject": "magenta", "trial": "yellow"}


@dataclass(frozen=True, slots=True)
class Board:
    """What is known of a watched job.

    Attributes:
        project_name: The project's name.
        job: The job.
        tickets: All its tickets, in the order of the plan.
        decisions: The newest decisions, oldest of them first.
        kinds: How many decisions of each kind there were.
        checks_passed: Checks that held, over all decisions.
        checks_failed: Checks that did not.
        commits: How often the head moved.
    """

    project_name: str
    job: JobView
    tickets: tuple[TicketView, ...] = ()
    decisions: tuple[EventView, ...] = ()
    kinds: Counter[str] = field(default_factory=Counter)
    checks_passed: int = 0
    checks_failed: int = 0
    commits: int = 0

    def with_state(self, job: JobView, tickets: Sequence[TicketView]) -> Board:
        """The board with newer answers of the job and its tickets."""
        return replace(self, job=job, tickets=tuple(tickets))

    def with_event(self, event: EventView) -> Board:
        """The board after one more event."""
        if event.change is not None:
            return replace(self, commits=self.commits + (event.change.target_type == "TIMELINE"))
        if event.decision is None:
            return self
        held = sum(check.passed for check in event.decision.checks)
        return replace(
            self,
            decisions=(*self.decisions, event)[-DECISIONS_SHOWN:],
            kinds=self.kinds + Counter({event.decision.kind: 1}),
            checks_passed=self.checks_passed + held,
            checks_failed=self.checks_failed + len(event.decision.checks) - held,
        )


def picture(board: Board, seconds: float) -> RenderableType:
    """Draw the board.

    Args:
        board: What to draw.
        seconds: How long the job has been watched.
    """
    parts: list[RenderableType] = [_headline(board, seconds), _counters(board)]
    at_work = [ticket for ticket in board.tickets if ticket.state == "leased"]
    if at_work:
        parts += [Text(), _agents(at_work)]
    if board.decisions:
        parts += [Text(), *(_decision(event) for event in board.decisions)]
    return Group(*parts)


def news(before: Board, after: Board) -> Iterator[str]:
    """What changed between two boards, one plain line each; for logs and pipes."""
    if before.job.state != after.job.state:
        yield f"job {after.job.id} {after.job.state}"
    known = {ticket.id: ticket for ticket in before.tickets}
    for ticket in after.tickets:
        earlier = known.get(ticket.id)
        if (earlier is None or earlier.state != ticket.state) and ticket.state != "blocked":
            outcome = f": {ticket.outcome}" if ticket.outcome else ""
            yield f"{ticket.state:<8} {ticket.role} {ticket.title}{outcome}"


def _headline(board: Board, seconds: float) -> Text:
    job = board.job
    return Text.assemble(
        (f"{job.playbook} ", "bold"),
        f"{clean(board.project_name)}  ",
        (job.state, "green" if job.state == "succeeded" else "yellow"),
        (f"  {int(seconds) // 60}:{int(seconds) % 60:02}  {job.id}", "dim"),
    )


def _counters(board: Board) -> Text:
    states = Counter(ticket.state for ticket in board.tickets)
    shown = [(f"{states[state]} {state}", style) for state, style in _STATE_STYLES.items() if states[state]]
    tickets = (
        Text("  ").join(Text(text, style) for text, style in shown) if shown else Text("none yet", "dim")
    )
    checks = Text.assemble(
        ("checks   ", "bold"),
        (f"{board.checks_passed} passed", "green"),
        "  ",
        (f"{board.checks_failed} failed", "magenta" if board.checks_failed else "dim"),
        ("   edits   ", "bold"),
        (f"{board.kinds['accept']} accepted", "green"),
        "  ",
        (f"{board.kinds['reject']} rejected", "magenta" if board.kinds["reject"] else "dim"),
        "  ",
        (f"{board.commits} commits", "dim"),
    )
    return Text("\n").join([Text.assemble(("tickets  ", "bold"), tickets), checks])


def _agents(tickets: Sequence[TicketView]) -> RenderableType:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True)
    for ticket in tickets[:AGENTS_SHOWN]:
        again = f" (attempt {ticket.attempts})" if ticket.attempts > 1 else ""
        table.add_row(Text(ticket.role), Text(clean(ticket.title) + again))
    if len(tickets) > AGENTS_SHOWN:
        table.add_row(Text(""), Text(f"and {len(tickets) - AGENTS_SHOWN} more", "dim"))
    return table


def _decision(event: EventView) -> Text:
    assert event.decision is not None, "only decisions are kept"
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{event.role:<12} ", "bold")
    text.append(f"{event.decision.kind:<8} ", _KIND_STYLES.get(event.decision.kind, "cyan"))
    subject = f"{clean(event.decision.subject)}: " if event.decision.subject else ""
    text.append(subject + " ".join(clean(event.decision.rationale).split()))
    return text
