"""Chromium, as it opens the service's pages without a screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.trust.processes.programs import find_program

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    # a container lets nobody make a sandbox
    "--no-sandbox",
    "--disable-gpu",
    # what a browser asks other hosts for by itself
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)


def find_browser() -> Path | None:
    """The path of the browser, or None where none is installed."""
    return next(filter(None, map(find_program, PROGRAMS)), None)


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """A browser until the end of the ``with`` statement. Raises RuntimeError where none is installed."""
    program = find_browser()
    if program is None:
        raise RuntimeError("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()
