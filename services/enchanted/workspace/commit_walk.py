# SPDX-License-Identifier: Apache-2.0
"""Which commits someone lacks who has some others: the walk behind every fetch.

Walking a history costs a read a commit, for each has to be read to know its parents. So the walk from what is
wanted and the walk from what is there go on side by side, and end as soon as the first has nothing left that
is not known to be there: fetching one new commit does not read ten thousand old ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from enchanted.workspace.model import ObjectId, StoredStateBrokenError
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import CommitLinks, GitObject, ObjectKind, commit_links

_SIDE_OBJECTS_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Shallow:
    """Where histories are cut off.

    Attributes:
        wanted: Commits whose parents shall not be sent.
        there: Commits whose parents the other side does not have.
    """

    wanted: AbstractSet[ObjectId] = frozenset()
    there: AbstractSet[ObjectId] = frozenset()


@dataclass(frozen=True, slots=True)
class Boundary:
    """The part of a history down to some depth.

    Attributes:
        cut: Commits at its lower edge that have parents.
        inside: All commits above the edge.
    """

    cut: AbstractSet[ObjectId]
    inside: AbstractSet[ObjectId]


@dataclass(slots=True)
class _Walk:
    store: ObjectStore
    shallow: Shallow
    links: dict[ObjectId, CommitLinks] = field(default_factory=dict)
    there: set[ObjectId] = field(default_factory=set)
    there_unread: list[ObjectId] = field(default_factory=list)

    def mark_there(self, commits: Iterable[ObjectId]) -> None:
        """These and all that was read of their ancestors are there; no reads."""
        pending = list(commits)
        while pending:
            commit = pending.pop()
            if commit in self.there:
                continue
            self.there.add(commit)
            if commit not in self.links:
                self.there_unread.append(commit)
            elif commit not in self.shallow.there:
                pending.extend(self.links[commit].parents)

    def read(self, commits: Iterable[ObjectId]) -> None:
        self.links.update(read_links(self.store, (commit for commit in commits if commit not in self.links)))


def read_links(store: ObjectStore, commits: Iterable[ObjectId]) -> dict[ObjectId, CommitLinks]:
    """What commits name, in batches.

    Raises:
        StoredStateBrokenError: If one is missing, does not open, or is no commit.
    """
    return {commit: links_of(commit, opened) for commit, opened in store.read_many(commits).items()}


def links_of(commit: ObjectId, opened: GitObject) -> CommitLinks:
    """What a stored commit names.

    Raises:
        StoredStateBrokenError: If it is no commit.
    """
    try:
        if opened.kind is ObjectKind.COMMIT:
            return commit_links(opened.content)
    except ValueError as error:
        raise StoredStateBrokenError("object", commit.hex()) from error
    raise StoredStateBrokenError("object", commit.hex())


def missing_commits(
    store: ObjectStore, wants: Iterable[ObjectId], there: Iterable[ObjectId], shallow: Shallow
) -> dict[ObjectId, CommitLinks]:
    """Commits that are wanted and not there; sometimes a few that are there, never one too few.

    Raises:
        StoredStateBrokenError: If a commit is missing or does not open.
    """
    walk = _Walk(store, shallow)
    walk.mark_there(there)
    missing: dict[ObjectId, CommitLinks] = {}
    frontier = list(dict.fromkeys(wants))
    while frontier := [commit for commit in frontier if commit not in walk.there]:
        level, frontier = frontier[:_SIDE_OBJECTS_MAX], frontier[_SIDE_OBJECTS_MAX:]
        below, walk.there_unread = walk.there_unread, []
        walk.read([*level, *below])
        for commit in level:
            missing[commit] = walk.links[commit]
            if commit not in shallow.wanted:
                frontier.extend(p for p in walk.links[commit].parents if p not in missing)
        frontier = list(dict.fromkeys(frontier))
        for commit in below:
            if commit not in shallow.there:
                walk.mark_there(walk.links[commit].parents)
    return {commit: links for commit, links in missing.items() if commit not in walk.there}


def boundary(store: ObjectStore, wants: Iterable[ObjectId], depth: int) -> Boundary:
    """The part of a history down to a depth; a depth of 1 is the wanted commits alone.

    Raises:
        StoredStateBrokenError: If a commit is missing or does not open.
    """
    level = list(dict.fromkeys(wants))
    inside: set[ObjectId] = set()
    for _ in range(depth - 1):
        if not level:
            break
        inside.update(level)
        links = read_links(store, level)
        level = [
            parent
            for parent in dict.fromkeys(parent for commit in level for parent in links[commit].parents)
            if parent not in inside
        ]
    cut = {commit for commit, links in read_links(store, level).items() if links.parents}
    return Boundary(cut, inside)
