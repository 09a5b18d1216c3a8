"""What the script adds: search while typing, keys, copying, switches."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

ROWS = "table.ranking tbody tr"


def test_search_filters_while_one_types(page: Page) -> None:
    page.goto("/?window=7d")
    address = page.locator(ROWS).nth(30).get_attribute("id")
    count = page.locator(ROWS).count()
    page.keyboard.press("/")
    page.keyboard.type(address[:7])
    expect(page.locator(ROWS)).not_to_have_count(count)
    assert all(address[:7] in row.get_attribute("id") for row in page.locator(ROWS).all())
    assert page.url.endswith(f"/?window=7d&q={address[:7]}")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value(address[:7])
    page.get_by_role("searchbox").fill("")
    expect(page.locator(ROWS)).to_have_count(count)
    assert page.url.endswith("/?window=7d")


def test_whole_address_waits_for_enter(page: Page) -> None:
    page.goto("/")
    address = page.locator(ROWS).nth(3).get_attribute("id")
    count = page.locator(ROWS).count()
    with page.expect_response(lambda response: response.url.endswith(address)):
        page.get_by_role("searchbox").fill(address)
    assert page.locator(ROWS).count() == count
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(f"**/orchestrators/{address}")


def test_arrow_keys_walk_through_the_table(page: Page) -> None:
    page.goto("/")
    rows = page.locator(ROWS)
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(rows.nth(1)).to_be_focused()
    assert page.locator(f"{ROWS}[tabindex='0']").count() == 1
    page.keyboard.press("End")
    expect(rows.last).to_be_focused()
    address = rows.last.get_attribute("id")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/orchestrators/{address}**")


def test_addresses_are_copied_whole(new_page: Callable[..., Page]) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/")
    row = page.locator(ROWS).nth(2)
    row.hover()
    row.get_by_role("button", name="Copy 0x").click()
    expect(row.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == row.get_attribute("id")


def test_theme_is_chosen_and_kept(page: Page) -> None:
    page.goto("/")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Theme").select_option("dark")
    dark = page.evaluate(background)
    assert dark != light
    page.reload(wait_until="commit")
    page.wait_for_selector("body", state="attached")
    assert page.evaluate(background) == dark
    page.get_by_label("Theme").select_option("system")
    assert page.evaluate(background) == light


def test_times_are_relative_or_utc_or_local(new_page: Callable[..., Page]) -> None:
    page = new_page(timezone_id="Asia/Tokyo", locale="en-GB")
    page.goto("/?window=7d")
    newest = page.locator(".figures time")
    expect(newest).to_contain_text("ago")
    exact = newest.get_attribute("title")
    page.get_by_label("Times").select_option("utc")
    expect(newest).to_have_text(f"{exact[:16]} UTC")
    page.reload()
    expect(newest).to_have_text(f"{exact[:16]} UTC")
    page.get_by_label("Times").select_option("local")
    hour = (int(exact[11:13]) + 9) % 24
    expect(newest).to_contain_text(f"{hour:02}:{exact[14:16]}")


def test_without_scripts_nothing_is_shown_that_needs_them(new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/")
    expect(page.locator("[data-switches]")).to_be_hidden()
    expect(page.locator("[data-refresh-banner]")).to_be_hidden()
    assert page.locator("button.copy").count() == 0
