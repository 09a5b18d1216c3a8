"""The page that stays open: it follows new results, keeps what people did with it, and outlives an outage."""

import itertools
import time

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.service import RunningService

ASK_NOW = "window.dispatchEvent(new Event('online'))"
"""What makes the script ask for the page at once."""
COUNT_FETCHES = """() => {
    const before = window.fetch;
    window.fetches = 0;
    window.fetch = (...all) => (window.fetches++, before(...all));
}"""
_numbers = itertools.count(1)


def post_results(service: RunningService) -> str:
    """Posts results of a new orchestrator, enough for a rank, and returns its address."""
    address = f"0xeeee{next(_numbers):036x}"
    for _ in range(5):
        result = {"region": "FRA", "orchestrator": address, "round_trip_time": 0.1, "seg_duration": 2}
        assert service.post(result | {"success_rate": 1, "timestamp": int(time.time())}).status == 200
    return address


def test_new_results_appear_without_losing_anything(page: Page, service: RunningService) -> None:
    page.goto("/")
    page.get_by_text("More filters").click()
    page.get_by_label("From (UTC)").fill("2026-")
    page.locator("table.ranking tbody tr").nth(20).focus()
    page.evaluate("window.scrollBy(0, 150)")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    state = """() => [scrollY, document.activeElement.id, getSelection().toString(),
        document.querySelector(".more").open,
        document.querySelector("[name=since]").value, performance.getEntriesByType("navigation")[0].startTime]"""
    page.evaluate("window.firstRow = document.querySelector('table.ranking tbody tr:nth-child(21)')")
    before = page.evaluate(state)
    address = post_results(service)
    page.evaluate(ASK_NOW)
    expect(page.locator(f"[id='{address}']")).to_have_count(1)
    after = page.evaluate(state)
    # above what is shown, a row was added; the browser keeps what is shown in its place
    assert after[1:] == before[1:]
    assert page.evaluate("window.firstRow.isConnected && window.firstRow === document.activeElement")
    assert page.locator("[data-updated]").count() < page.locator("td").count() / 2


def test_visible_page_asks_every_half_minute_and_a_hidden_one_never(page: Page, service: RunningService) -> None:
    page.clock.install()
    page.goto("/")
    page.evaluate(COUNT_FETCHES)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.clock.fast_forward(40_000)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate("window.fetches") == 0
    page.evaluate("delete document.hidden")
    with page.expect_response("**/"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[data-refresh-status]")).to_contain_text("Updated")
    with page.expect_response("**/"):
        page.clock.fast_forward(40_000)


def test_unchanged_page_is_not_touched(page: Page) -> None:
    page.goto("/?since=2020-01-01&until=2020-01-02")
    page.evaluate(
        """() => {
            window.changes = [];
            const note = (records) => changes.push(...records.map((record) => record.target.outerHTML));
            const everything = { attributes: true, characterData: true, childList: true, subtree: true };
            new MutationObserver(note).observe(document.querySelector("main"), everything);
        }"""
    )
    # the first time the script does not know what it shows, and compares the pages
    for what in ("idiomorph", "since"):
        with page.expect_event("requestfinished", lambda request, what=what: what in request.url):
            page.evaluate(ASK_NOW)
        page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    assert page.evaluate("window.changes") == []


@pytest.mark.parametrize("failure", ["no network", "status 503"])
def test_outage_keeps_the_page_and_says_how_old_it_is(page: Page, failure: str) -> None:
    def fail(route: Route) -> None:
        if failure == "no network":
            route.abort()
        else:
            route.fulfill(status=503, content_type="text/html", body="<main>gone</main>")

    page.goto("/")
    row_count = page.locator("table.ranking tbody tr").count()
    page.route("**/*", fail)
    page.evaluate(ASK_NOW)
    banner = page.locator("[data-refresh-banner]")
    expect(banner).to_contain_text("The service does not answer.")
    expect(banner).to_contain_text("ago")
    assert page.locator("table.ranking tbody tr").count() == row_count
    page.unroute("**/*")
    page.evaluate(ASK_NOW)
    expect(banner).to_be_hidden()


def test_page_asks_less_often_while_the_service_does_not_answer(page: Page) -> None:
    page.clock.install()
    page.goto("/")
    page.route("**/*", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(40_000)
    expect(page.locator("[data-refresh-banner]")).to_be_visible()
    page.evaluate(COUNT_FETCHES)
    page.clock.fast_forward(50_000)
    assert page.evaluate("window.fetches") == 0
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(30_000)
