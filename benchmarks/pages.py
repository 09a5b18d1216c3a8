"""Measures the pages in Chromium, and what pages that stay open cost the service.

``python -m benchmarks.pages`` prints tables for docs/performance.md. It needs the
extra ``test``, and Chromium on the PATH.
"""

import http.client
import json
import statistics
import threading
import time
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from rich.console import Console
from rich.table import Table

from benchmarks.browser import opened_browser
from benchmarks.database import RESULT
from benchmarks.service import MeasuredService
from benchmarks.simulated import simulated_service

PATHS = (
    "/",
    "/?window=7d",
    "/?window=30d",
    "/?window=1y",
    "/?job_type=ai",
    "/?view=matrix",
    "/network",
    "/models",
    "/gateway",
    "/formulas",
    "/status",
)
SECRET = "benchmark"
REFRESH_SECONDS = 30
POST_EVERY_SECONDS = 12
"""Testers of 100 orchestrators post about 7,000 results a day."""
SERIOUS = ("serious", "critical")
_BROWSER_COLUMNS = ("first paint", "shift", "blocked", "axe-core")
# Long tasks block for what exceeds 50 ms.
_OBSERVE = """
window.measured = { shift: 0, blocked: 0 };
const observe = (type, note) => new PerformanceObserver((list) => list.getEntries().forEach(note))
  .observe({ type, buffered: true });
observe("layout-shift", (entry) => { if (!entry.hadRecentInput) measured.shift += entry.value; });
observe("longtask", (entry) => { measured.blocked += Math.max(0, entry.duration - 50); });
"""
_READ = """() => {
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {
    requests: entries.filter((entry) => entry.transferSize > 0).length,
    bytes: entries.reduce((sum, entry) => sum + entry.transferSize, 0),
    paint_ms: paint ? paint.startTime : 0,
    ...measured,
  };
}"""


ROUNDS = 7
"""Of which the server's part is the median."""


class Poll(NamedTuple):
    """What clients that keep a page open cost: their polls, and the CPU seconds of the worker meanwhile."""

    polls: int
    unchanged: int
    seconds: float
    cpu_seconds: float


@click.command()
@click.option("--results", default=60_000, show_default=True, help="Results of the simulated network.")
@click.option("--days", default=14, show_default=True, help="The time that they cover.")
@click.option("--clients", default=100, show_default=True, help="Pages that stay open.")
@click.option("--seconds", default=60, show_default=True, help="How long they do.")
def main(results: int, days: int, clients: int, seconds: int) -> None:
    """Measure the pages in Chromium, and what pages that stay open cost."""
    console = Console(width=120)
    with simulated_service(results, days, SECRET=SECRET) as service:
        table = Table("page", *("computed", "kept", "first visit", "second visit"), *_BROWSER_COLUMNS)
        with opened_browser() as browser:
            for path in [*PATHS, *_found_paths(browser, service.url)]:
                visits = _visits(browser, service.url, path)
                table.add_row(path[:40], *_server_part(service, path), *visits)
        console.print(table)
        for name, period in (("no results", None), (f"a result every {POST_EVERY_SECONDS} s", POST_EVERY_SECONDS)):
            poll = keep_open(service, clients, seconds, period)
            console.print(
                f"{clients} open pages, {name}: {poll.polls} polls in {poll.seconds:.0f} s, "
                f"{poll.unchanged} unchanged, {1000 * poll.cpu_seconds / poll.seconds:.1f} ms of CPU a second"
            )


def _found_paths(browser: Browser, base_url: str) -> list[str]:
    """The pages of an orchestrator, of a model, and of a comparison."""
    page = browser.new_page(base_url=base_url)
    page.goto("/")
    addresses = [row.get_attribute("id") for row in page.locator("table.ranking tbody tr").all()]
    page.goto("/models")
    model = page.locator("main a[href^='/models/']").first.get_attribute("href") or ""
    page.close()
    compared = f"/compare?o={addresses[0]}&o={addresses[1]}"
    return [f"/orchestrators/{addresses[len(addresses) // 2]}", model.partition("?")[0], compared]


def _server_part(service: MeasuredService, path: str) -> tuple[str, str]:
    """How long the service takes to answer, right after a new result and again, with compression."""
    computed, kept = [], []
    for _ in range(ROUNDS):
        _post(service)
        computed.append(_get_milliseconds(service, path))
        kept.append(_get_milliseconds(service, path))
    return f"{statistics.median(computed):.0f} ms", f"{statistics.median(kept):.0f} ms"


def _get_milliseconds(service: MeasuredService, path: str) -> float:
    with closing(http.client.HTTPConnection(urlsplit(service.url).netloc)) as connection:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "br"})
        response = connection.getresponse()
        response.read()
        milliseconds = 1000 * (time.perf_counter() - began)
    if response.status != http.HTTPStatus.OK:
        raise RuntimeError(f"{path} answered {response.status}")
    return milliseconds


def _post(service: MeasuredService) -> None:
    service.post(json.dumps(RESULT | {"timestamp": int(time.time())}).encode(), SECRET)


def _visits(browser: Browser, base_url: str, path: str) -> tuple[str, ...]:
    """Two visits of a page by a new profile, as cells of the table. Axe-core's serious findings are counted."""
    with browser.new_context(base_url=base_url, viewport={"width": 1280, "height": 860}) as context:
        context.add_init_script(_OBSERVE)
        page = context.new_page()
        first = _measure(page, path)
        second = _measure(page, path)
        violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    findings = sum(violation["impact"] in SERIOUS for violation in violations)
    return (
        *(f"{visit['bytes'] / 1000:.1f} kB, {visit['requests']} requests" for visit in (first, second)),
        " and ".join(f"{visit['paint_ms']:.0f} ms" for visit in (first, second)),
        f"{max(first['shift'], second['shift']):.3f}",
        f"{max(first['blocked'], second['blocked']):.0f} ms",
        str(findings),
    )


def _measure(page: Page, path: str) -> dict[str, Any]:
    page.goto(path, wait_until="networkidle")
    measured: dict[str, Any] = page.evaluate(_READ)
    return measured


def keep_open(service: MeasuredService, clients: int, seconds: int, post_every: int | None) -> Poll:
    """Lets clients ask for the ranking every REFRESH_SECONDS, evenly spread, as open pages do."""
    end = time.monotonic() + seconds
    statuses: list[int] = []

    def poll(number: int) -> None:
        time.sleep(number * REFRESH_SECONDS / clients)
        etag = ""
        while time.monotonic() < end:
            connection = http.client.HTTPConnection(urlsplit(service.url).netloc)
            connection.request("GET", "/", headers={"If-None-Match": etag, "Accept-Encoding": "br"})
            response = connection.getresponse()
            response.read()
            connection.close()
            etag = response.headers["ETag"]
            statuses.append(response.status)
            time.sleep(REFRESH_SECONDS)

    def post() -> None:
        while post_every and time.monotonic() < end:
            _post(service)
            time.sleep(post_every)

    threads = [threading.Thread(target=poll, args=(number,)) for number in range(clients)]
    threads.append(threading.Thread(target=post))
    began, cpu_before = time.monotonic(), service.cpu_seconds()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Poll(
        len(statuses),
        statuses.count(http.HTTPStatus.NOT_MODIFIED),
        time.monotonic() - began,
        service.cpu_seconds() - cpu_before,
    )


if __name__ == "__main__":
    main()
