# SPDX-License-Identifier: Apache-2.0
"""The pages of a running hub, read as a browser reads them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from enchanted import platform
from enchanted.cli.projects import import_source
from enchanted.gateway.security import HEADERS
from enchanted.settings import Settings
from enchanted.views import JobView, ProjectView, job_view
from tests.integration.platform.repositories import git


class Page(HTMLParser):
    """What a page is made of: links, elements, and text without mark-up."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.elements: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in {"meta", "link"}:
            self.open.append(tag)
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _silent(_told: str) -> None:
    pass


@dataclass
class Site:
    """A hub with an imported project and a finished job."""

    browser: httpx2.AsyncClient
    hub: platform.Connection
    project: ProjectView
    job: JobView

    async def page(self, path: str, status: int = 200) -> Page:
        answer = await self.browser.get(self.hub.url + path)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        page = Page(answer.text)
        assert page.open == []
        return page


@asynccontextmanager
async def _site(settings: Settings, repository: Path) -> AsyncIterator[Site]:
    async with platform.hosted(settings) as hub, httpx2.AsyncClient() as browser:
        project, _ = await import_source(hub, str(repository), "", _silent)
        job = job_view(await hub.jobs.run_job(project.id, "modernize"))
        cancelled = job_view(await hub.jobs.cancel_job(job.id, "it was <b>enough</b>"))
        yield Site(browser, hub, project, cancelled)


@pytest.mark.feature("E-01")
async def test_every_link_of_every_page_leads_to_a_page(settings: Settings, repository: Path) -> None:
    async with _site(settings, repository) as site:
        seen: set[str] = set()
        waiting = ["/"]
        while waiting:
            path = waiting.pop()
            seen.add(path)
            if ".patch" in path:
                assert (await site.browser.get(site.hub.url + path)).status_code == 200
                continue
            page = await site.page(path)
            assert page.elements.count("h1") == 1
            waiting += [link for link in page.links if link.startswith("/") and link not in seen]
        for wanted in ("/", f"/projects/{site.project.id}", f"/jobs/{site.job.id}"):
            assert wanted in seen
        assert any("/events/" in path for path in seen)
        assert any("/history" in path for path in seen)


@pytest.mark.feature("E-01")
async def test_the_first_page_lists_projects_and_jobs(settings: Settings, repository: Path) -> None:
    async with _site(settings, repository) as site:
        page = await site.page("/")
        assert site.project.name in page.text
        assert site.job.id in page.text
        assert "cancelled" in page.text
        assert "it was <b>enough</b>" in page.text


@pytest.mark.feature("E-01")
async def test_before_anything_was_done_the_first_page_says_how_to_begin(settings: Settings) -> None:
    async with platform.hosted(settings) as hub, httpx2.AsyncClient() as browser:
        page = Page((await browser.get(hub.url)).text)
        assert "enchanted project import" in page.text


@pytest.mark.feature("X-02")
async def test_the_clone_line_of_the_project_page_works(
    settings: Settings, repository: Path, tmp_path: Path
) -> None:
    async with _site(settings, repository) as site:
        page = await site.page(f"/projects/{site.project.id}")
        found = re.search(r"git clone (\S+)", page.text)
        assert found
        await asyncio.to_thread(git, tmp_path, "clone", "--quiet", found[1], "cloned")
        place = re.findall(r"\b1-[0-9a-f]{24}\b", page.text)[0]
        await asyncio.to_thread(git, tmp_path, "clone", "--quiet", f"{found[1]}@{place}", "then")
    for name in ("cloned", "then"):
        assert git(tmp_path / name, "rev-parse", "HEAD^{tree}") == git(repository, "rev-parse", "HEAD^{tree}")


@pytest.mark.feature("E-03")
async def test_what_a_repository_holds_is_shown_and_not_run(settings: Settings, repository: Path) -> None:
    async with _site(settings, repository) as site:
        first = git(repository, "rev-parse", "HEAD~1").strip()
        assert first
        for path in (f"/projects/{site.project.id}/diff?from=now&to=now", f"/jobs/{site.job.id}", "/"):
            assert "script" not in (await site.page(path)).elements


@pytest.mark.feature("K-02")
@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/projects/none",
        "/jobs/none",
        "/projects/none/history",
        "/static/none.css",
        "/%00",
        "/a/../b",
    ],
    ids=str,
)
async def test_what_is_not_there_is_a_page_with_a_hint(settings: Settings, path: str) -> None:
    async with platform.hosted(settings) as hub, httpx2.AsyncClient() as browser:
        answer = await browser.get(hub.url + path)
        assert answer.status_code == 404
        page = Page(answer.text)
        assert "/" in page.links
        assert "Traceback" not in answer.text
        assert "first page lists all" in page.text


@pytest.mark.feature("K-02")
async def test_an_address_that_means_nothing_is_the_callers_fault(
    settings: Settings, repository: Path
) -> None:
    async with _site(settings, repository) as site:
        project = f"/projects/{site.project.id}"
        for path in (
            f"{project}/diff?from=yesterday",
            f"{project}/changes.patch?to=yesterday",
            f"{project}/history?page=0",
            f"{project}/history?page=x",
            f"{project}/diff?from={'x' * 300}",
        ):
            await site.page(path, status=400)
        await site.page(f"{project}/events/evt_none", status=404)


@pytest.mark.feature("K-02")
async def test_every_answer_carries_the_headers_and_nothing_can_be_changed(settings: Settings) -> None:
    async with platform.hosted(settings) as hub, httpx2.AsyncClient() as browser:
        for path in ("/", "/healthz", "/static/enchanted.css", "/nothing", "/git/local/none/info/refs"):
            answer = await browser.get(hub.url + path)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, path
            assert "server" not in answer.headers
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await browser.request(method, hub.url)).status_code == 405
        rebound = await browser.get(hub.url, headers={"Host": "evil.example"})
        assert rebound.status_code == 421
