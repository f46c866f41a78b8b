# SPDX-License-Identifier: Apache-2.0
"""What a job came to, for the person who has to decide whether to take it: pure rendering of a job's view.

A swarm that only says "done" asks for trust. The summary says what was changed and why, what was left out and
why, and what the tests said before and after, each with the place to look further.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from enchanted.cli.output import clean
from enchanted.views import CheckView, EditView, JobView, TicketView, short_commit, suite_text
from enchanted.wording import counted

LEFT_ALONE_SHOWN: Final = 20
_STATE_STYLES: Final = {"succeeded": "bold green", "failed": "bold red", "cancelled": "bold yellow"}


def job_summary(job: JobView) -> RenderableType:
    """The whole summary of a job, ended or not."""
    return Group(*_parts(job))


def checks_summary(checks: Sequence[tuple[str, CheckView]]) -> RenderableType:
    """A verification as lines: what was checked, whether it held, what was found.

    Args:
        checks: Each with the name of what it is about: the store, or a project.
    """
    lines = []
    for scope, check in checks:
        mark = ("passed ", "green") if check.passed else ("FAILED ", "bold red")
        detail = f"  {_line(check.detail)}" if check.detail else ""
        lines.append(Text.assemble(mark, (f"{_line(scope)}: ", "bold"), _line(check.name), (detail, "dim")))
    return Group(*lines)


def tickets_table(tickets: Sequence[TicketView]) -> RenderableType:
    """The tickets of a job."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("STATE", "ROLE", "TICKET", "OUTCOME"):
        table.add_column(column, overflow="fold")
    for ticket in tickets:
        row = (ticket.state, ticket.role, ticket.title, ticket.outcome)
        table.add_row(*(Text(_line(cell)) for cell in row))
    return Group(Text(), table) if tickets else Group()


def _parts(job: JobView) -> Iterator[RenderableType]:
    told = _line(job.headline or job.reason) or "no result yet"
    yield Text.assemble((job.state, _STATE_STYLES.get(job.state, "bold")), f"  {told}")
    if job.reason and job.headline:
        yield Text.assemble(("reason  ", "bold"), _line(job.reason))
    changed = [edit for edit in job.edits if edit.accepted_parts]
    if changed:
        yield _heading(f"Changed ({counted(len(changed), 'file')})")
        yield from (_changed(edit) for edit in changed)
    left_out = [edit for edit in job.edits if edit.left_out]
    if left_out:
        yield _heading(f"Left out ({counted(job.left_out_parts, 'part')})")
        for edit in left_out:
            yield from _left_out(edit)
    if job.left_alone:
        yield _heading(f"Left alone ({counted(len(job.left_alone), 'file')})")
        yield from (Text(f"  {_line(told)}") for told in job.left_alone[:LEFT_ALONE_SHOWN])
        if len(job.left_alone) > LEFT_ALONE_SHOWN:
            yield Text(
                f"  and {len(job.left_alone) - LEFT_ALONE_SHOWN} more: enchanted job show {job.id} --json"
            )
    if job.tests_before is not None or job.tests_after is not None:
        yield _heading("Tests")
        yield Text(f"  before  {_line(suite_text(job.tests_before))}")
        yield Text(f"  after   {_line(suite_text(job.tests_after))}")


def _changed(edit: EditView) -> Text:
    parts = counted(edit.accepted_parts, "part")
    return Text.assemble(
        (f"  {_line(edit.path)}", "green"),
        (f"  {parts}{', ' if edit.commit else ''}{short_commit(edit.commit)}", "dim"),
        f"\n    {_line(edit.rationale)}" if edit.rationale else "",
    )


def _left_out(edit: EditView) -> Iterator[Text]:
    for part in edit.left_out:
        where = f"{edit.path}:{part.first_line}" if part.first_line else edit.path
        yield Text.assemble(
            (f"  {_line(where)}", "magenta"), f"  {_line(part.description)}\n    {_line(part.reason)}"
        )


def _heading(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _line(text: str) -> str:
    return " ".join(clean(text).split())
