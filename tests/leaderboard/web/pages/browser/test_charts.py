"""Charts that can be zoomed, and the pictures that they replace."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from leaderboard.web.pages.drawing.chart import Band, Series, history_chart
from queries.times import TimeRange
from tests.leaderboard.web.pages.browser.test_refresh import ASK_NOW
from tests.support.service import RunningService

UNTIL = datetime(2026, 9, 9, tzinfo=UTC)
WEEK = TimeRange(UNTIL - timedelta(days=7), UNTIL)
HOUR = timedelta(hours=1)


def chart(last: float) -> str:
    starts = [WEEK.since + number * HOUR for number in range(7 * 24)]
    points = {start: (0.5, 2 if number % 7 else 20) for number, start in enumerate(starts) if number % 11}
    points[starts[-1]] = (last, 1234)
    incident = Band(UNTIL - timedelta(days=7), UNTIL, "failures in FRA")
    return str(
        history_chart("Score", WEEK, HOUR, [Series("one", points), Series("two", points, "series-2")], bands=[incident])
    )


@pytest.fixture
def show(service: RunningService) -> Callable[..., None]:
    """Shows a chart in the place of the ranking."""
    html = service.get("/").body.decode()

    def show(page: Page, last: float) -> None:
        body = re.sub("(<main[^>]*>).*(</main>)", lambda part: part[1] + chart(last) + part[2], html, flags=re.DOTALL)
        headers = {"Content-Security-Policy": service.get("/").headers["Content-Security-Policy"]}

        def answer(route: Route) -> None:
            route.fulfill(body=body, content_type="text/html", headers=headers | {"ETag": f'"{last}"'})

        page.route(lambda url: url.endswith("/"), answer)

    return show


def test_chart_is_zoomed_and_refreshed(page: Page, show: Callable[..., None]) -> None:
    show(page, 0.25)
    page.goto("/")
    canvas = page.locator(".plot-zoom canvas")
    expect(canvas).to_be_visible()
    expect(page.locator("svg.plot")).to_be_hidden()
    hint, value = page.locator(".plot-hint"), page.locator(".legend-value").first
    expect(value).to_have_text("0.250")
    box = page.locator(".u-over").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    expect(hint).to_contain_text("2026")
    expect(hint).to_contain_text("failures in FRA")
    expect(page.locator(".legend-count").first).to_contain_text("test")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=3)
    page.mouse.up()
    page.mouse.move(5, 5)
    expect(hint).to_have_text("double click shows all")
    show(page, 0.75)
    page.evaluate(ASK_NOW)
    expect(value).to_have_text("0.750")
    expect(hint).to_have_text("double click shows all")
    page.locator(".u-over").dblclick()
    page.mouse.move(5, 5)
    expect(hint).to_have_text("drag to zoom")


def test_chart_takes_the_place_of_its_picture(
    page: Page, new_page: Callable[..., Page], show: Callable[..., None]
) -> None:
    show(page, 0.25)
    page.goto("/")
    expect(page.locator(".plot-zoom canvas")).to_be_visible()
    plain = new_page(java_script_enabled=False, viewport=page.viewport_size)
    show(plain, 0.25)
    plain.goto("/")
    picture = plain.locator("svg.plot").bounding_box()
    drawn = page.locator(".plot-zoom").bounding_box()
    assert {name: round(value) for name, value in drawn.items()} == {
        name: round(value) for name, value in picture.items()
    }


def test_chart_follows_theme_and_width(page: Page, show: Callable[..., None]) -> None:
    show(page, 0.25)
    page.goto("/")
    canvas = page.locator(".plot-zoom canvas")
    expect(canvas).to_be_visible()
    light = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != light
    page.set_viewport_size({"width": 320, "height": 640})
    expect(canvas).to_have_css("width", "288px")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
