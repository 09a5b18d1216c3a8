"""Every page in a real browser: its links, its accessibility, its width and its weight."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Error, Page, expect

from tests.leaderboard.web.pages.browser.conftest import ODD_MODELS, ODD_ORCHESTRATOR
from tests.leaderboard.web.pages.browser.crawl import Crawl

MAX_FIRST_VISIT_BYTES = 120_000
MAX_FIRST_VISIT_REQUESTS = 6
SERIOUS = ("serious", "critical")
REPEATED = "tbody tr:nth-child(n + 9), li:nth-child(n + 20), option:nth-child(n + 9)"
"""These are like those before them, and hundreds take axe-core long."""


def visited(crawled: Crawl) -> list[str]:
    """A URL of each kind of page, and of pages with odd names, without rows, and of errors."""
    odd = ["/?job_type=ai&view=matrix", f"/orchestrators/{ODD_ORCHESTRATOR}?job_type=ai"]
    return [*crawled.pages.values(), *odd, "/?since=2020-01-01&until=2020-01-02", "/?window=8d", "/nothing"]


def findings(page: Page, **options: object) -> list[str]:
    """What axe-core finds on a page, one line per element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    results = page.evaluate("(options) => axe.run(options)", {"resultTypes": ["violations"], **options})
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in results["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"][:3]
    ]


def test_no_link_is_broken(crawled: Crawl) -> None:
    assert {url: status for url, status in crawled.statuses.items() if status != 200} == {}
    assert crawled.foreign == set()
    assert len(crawled.pages) > 1


def test_pages_are_accessible_and_fit_a_small_screen(new_page: Callable[..., Page], crawled: Crawl) -> None:
    page = new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    problems = {}
    for url in visited(crawled):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light")
        page.goto(url)
        page.evaluate(f"document.querySelectorAll('{REPEATED}').forEach((element) => element.remove())")
        problems[url, "light"] = findings(page)
        page.emulate_media(color_scheme="dark")
        problems[url, "dark"] = findings(page, runOnly=["color-contrast"])
        page.set_viewport_size({"width": 320, "height": 640})
        # a chart is drawn again after its new width is known
        with suppress(Error):
            page.wait_for_function("document.documentElement.scrollWidth <= 320", timeout=5000)
        width = page.evaluate("document.documentElement.scrollWidth")
        problems[url, "320 pixels"] = [f"is {width} pixels wide"] if width > 320 else []
    assert {where: found for where, found in problems.items() if found} == {}


def test_first_visit_of_the_ranking_is_light(page: Page) -> None:
    page.goto("/")
    expect(page.locator("[data-switches]")).to_be_visible()
    assert page.locator("table.ranking tbody tr").count() > 90
    transfers = page.evaluate(
        """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .map((entry) => [entry.name, entry.transferSize])"""
    )
    assert sum(size for _, size in transfers) <= MAX_FIRST_VISIT_BYTES, transfers
    assert len(transfers) <= MAX_FIRST_VISIT_REQUESTS, transfers


@pytest.mark.parametrize("model", ODD_MODELS)
def test_odd_names_are_text_and_lead_to_their_page(page: Page, model: str) -> None:
    page.goto("/?job_type=ai")
    page.get_by_role("navigation", name="Job").get_by_role("link", name=model, exact=True).click()
    expect(page.locator("h1 small")).to_contain_text(model)
    assert page.locator("table.ranking tbody tr").count() == 1
