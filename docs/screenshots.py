"""Takes the pictures of the pages for README.md and docs/pages.md, of a simulated network.

``python -m docs.screenshots`` writes docs/images/page-*.png. It needs the extra
``dev``, and Chromium on the PATH.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.browser import opened_browser
from benchmarks.simulated import simulated_service

FOLDER = Path(__file__).parent / "images"
RESULTS, DAYS = 120_000, 16
COLOURS = 255
"""A picture of so few colours is a third as large; text and lines need no more."""
DESKTOP, PHONE = (1280, 860), (360, 740)


class Picture(NamedTuple):
    """What a picture shows: its file ``page-NAME.png``, the URL, and how it is looked at."""

    name: str
    url: str
    size: tuple[int, int] = DESKTOP
    theme: str = "light"


def pictures(page: Page) -> Iterator[Picture]:
    """The pictures of all pages. The page is used to find orchestrators and a model that have much to show."""
    page.goto("/?window=7d")
    addresses = [row.get_attribute("id") for row in page.locator("table.ranking tbody tr").all()]
    middle = f"/orchestrators/{addresses[len(addresses) // 2]}?window=7d"
    page.goto("/models?window=7d")
    model = page.locator("main a[href^='/models/text-to-image/']").first.get_attribute("href") or ""
    compared = "&".join(f"o={addresses[place]}" for place in (0, len(addresses) // 2, -5))
    yield Picture("ranking", "/?window=7d")
    yield Picture("ranking-dark", "/?window=7d", theme="dark")
    yield Picture("ranking-phone", "/?window=7d", PHONE)
    yield Picture("matrix", "/?window=7d&view=matrix")
    yield Picture("orchestrator", middle)
    yield Picture("orchestrator-phone", middle, PHONE, "dark")
    yield Picture("compare", f"/compare?{compared}&window=7d")
    yield Picture("network", "/network?window=7d", theme="dark")
    yield Picture("models", "/models?window=7d")
    yield Picture("model", model)
    yield Picture("gateway", "/gateway")
    yield Picture("formulas", "/formulas")
    yield Picture("status", "/status")


def take(browser: Browser, base_url: str, picture: Picture) -> bytes:
    """A picture as PNG."""
    width, height = picture.size
    with browser.new_context(
        base_url=base_url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if picture.theme == "dark" else "light",
    ) as context:
        page = context.new_page()
        page.goto(picture.url, wait_until="networkidle")
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    file = io.BytesIO()
    # without dithering, which adds noise to even surfaces
    few_colours = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few_colours.save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    """Writes the pictures."""
    with simulated_service(RESULTS, DAYS, SECRET="secret") as service, opened_browser() as browser:
        page = browser.new_page(base_url=service.url)
        for picture in pictures(page):
            (FOLDER / f"page-{picture.name}.png").write_bytes(take(browser, service.url, picture))


if __name__ == "__main__":
    main()
