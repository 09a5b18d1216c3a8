"""Links, filters and forms, with and without JavaScript: the state is in the URL."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def page(request: pytest.FixtureRequest, new_page: Callable[..., Page]) -> Page:
    return new_page(java_script_enabled=request.param)


def rows(page: Page) -> list[str]:
    return [row.get_attribute("id") for row in page.locator("table.ranking tbody tr").all()]


def test_back_and_reload_keep_filter_and_order(page: Page) -> None:
    page.goto("/")
    first = rows(page)
    page.get_by_role("navigation", name="Window").get_by_role("link", name="7 days").click()
    page.get_by_role("navigation", name="Region").get_by_role("link", name="FRA", exact=True).click()
    page.get_by_role("columnheader", name="Tests").get_by_role("link").click()
    url, shown = page.url, rows(page)
    assert url.endswith("/?region=FRA&window=7d&sort=events&order=desc")
    expect(page.locator("h1")).to_contain_text("FRA, last 7 days")
    page.reload()
    assert (page.url, rows(page)) == (url, shown)
    page.locator("table.ranking tbody th a").first.click()
    page.wait_for_url(lambda url: f"/orchestrators/{shown[0]}?" in url and "region=FRA" in url)
    page.go_back()
    assert (page.url, rows(page)) == (url, shown)
    for _ in range(3):
        page.go_back()
    assert rows(page) == first


def test_forms_filter_and_search(page: Page) -> None:
    page.goto("/?region=FRA")
    page.get_by_text("More filters").click()
    page.get_by_label("Busy orchestrators").select_option("ignore")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "busy=ignore" in url and "region=FRA" in url and "since" not in url)
    address = rows(page)[0]
    page.get_by_role("searchbox").fill(address[5:15])
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("table.ranking tbody tr")).to_have_count(1)
    assert "busy=ignore" in page.url
    page.get_by_role("searchbox").fill(address)
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(lambda url: f"/orchestrators/{address}?" in url)
