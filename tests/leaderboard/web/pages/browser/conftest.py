"""One service over a simulated network with odd names, and one browser, for all tests of this package."""

import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from benchmarks.browser import PROGRAMS, find_browser, opened_browser
from tests.conftest import clone, load_events
from tests.leaderboard.web.pages.browser.crawl import Crawl, crawl
from tests.leaderboard.web.pages.conftest import ODD_MODEL
from tests.support.commands import run_leaderboard
from tests.support.programs import require_program
from tests.support.service import ONE_WORKER, RunningService

ODD_ORCHESTRATOR = f"0x{'d' * 40}"
"""It was tested with each of these models, and its errors have their names."""
ODD_MODELS = (
    ODD_MODEL,
    "a/\N{GRINNING FACE}",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}/model",
    "?a=1&b=2#c%41",
    "..",
)
TIMEOUT_MS = 60_000
"""The machine may be busy."""
SIMULATED_RESULTS, SIMULATED_DAYS = "20000", "3"


expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="package")
def service(server: str, template: str) -> Iterator[RunningService]:
    """A service over three days of 100 orchestrators with incidents. Tests may add results to it."""
    if find_browser() is None:
        require_program(PROGRAMS[0])
    url = clone(server, template, "browser")
    simulated = run_leaderboard("simulate", SIMULATED_RESULTS, "--days", SIMULATED_DAYS, "--append", POSTGRES=url)
    assert simulated.returncode == 0, simulated.stderr
    load_events(url, odd_events(int(time.time())))
    with RunningService({"POSTGRES": url}, ONE_WORKER) as running:
        yield running


@pytest.fixture(scope="package")
def browser(service: RunningService) -> Iterator[Browser]:
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def base_url(service: RunningService) -> str:
    """Where the pages are: ``http://127.0.0.1:8080``."""
    return f"http://127.0.0.1:{service.port}"


@pytest.fixture(scope="package")
def crawled(service: RunningService) -> Crawl:
    """What following the links of the pages found."""
    return crawl(lambda path: service.get(path, Accept="text/html"), ["/", "/?job_type=ai&region=FRA&view=matrix"])


@pytest.fixture
def new_page(browser: Browser, base_url: str) -> Iterator[Callable[..., Page]]:
    """Makes pages of a profile of their own. The test fails if a script fails or another host is asked for anything."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def check_host(url: str) -> None:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != base_url:
            problems.append(f"request to {url}")

    def make(**options: object) -> Page:
        context = browser.new_context(base_url=base_url, **options)
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        context.on("request", lambda request: check_host(request.url))
        context.on("weberror", lambda error: problems.append(str(error.error)))
        context.on("dialog", lambda dialog: (problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of a profile of its own."""
    return new_page(viewport={"width": 1280, "height": 800})


def odd_events(now: int) -> list[list[object]]:
    """Results with each of ODD_MODELS, half of them failed with an error of that text."""
    events: list[list[object]] = []
    for number, model in enumerate(ODD_MODELS):
        for hour in range(10):
            job = {"pipeline": "text-to-image", "model": model, "success_rate": hour % 2, "round_trip_time": 3}
            errors = [] if hour % 2 else [{"error_code": model, "message": model, "count": 1}]
            payload = job | {"seg_duration": 0, "errors": errors}
            events.append([now - 600 - hour * 3600 - number, ODD_ORCHESTRATOR, "FRA", "ai", payload])
    return events
