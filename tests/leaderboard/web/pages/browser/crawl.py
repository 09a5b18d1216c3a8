"""Follows the links of pages."""

from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

from tests.support.service import HttpResponse


class Crawl(NamedTuple):
    """What a crawl found.

    ``statuses`` has the status of each link that was followed, ``pages`` a URL
    of each kind of page, by its path with ``*`` for what varies, and
    ``foreign`` the links to other hosts.
    """

    statuses: dict[str, int]
    pages: dict[str, str]
    foreign: set[str]


class _Links(HTMLParser):
    """The links of a page: where they lead, and what the page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if name in ("href", "src", "action") and value]


def crawl(get: Callable[[str], HttpResponse], starts: Sequence[str]) -> Crawl:
    """Follows the links from the pages of ``starts``.

    A network has as many pages as it has orchestrators, jobs and windows. So a
    link is followed if its kind of page, or a parameter of it, was not met before.
    """
    found = Crawl({}, {}, set())
    queue: list[str] = []
    seen: set[tuple[str, str]] = set()

    def meet(url: str) -> None:
        path, names = _kind(url)
        traits = {(path, name) for name in ("", *names)}
        if not traits <= seen:
            seen.update(traits)
            queue.append(url)

    for start in starts:
        meet(start)
    for url in queue:
        response = get(url)
        found.statuses[url] = response.status
        if response.headers.get_content_type() != "text/html":
            continue
        found.pages.setdefault(_kind(url)[0], url)
        for link in _Links(response.body.decode()).links:
            target = urldefrag(urljoin(f"http://here{url}", link)).url
            if target.startswith("http://here/"):
                meet(target.removeprefix("http://here"))
            else:
                found.foreign.add(target)
    return found


def _kind(url: str) -> tuple[str, set[str]]:
    """The path of a URL with ``*`` for what varies, and the names of its parameters."""
    parts = urlsplit(url)
    first, *rest = parts.path.removeprefix("/").split("/")
    path = parts.path if first in ("api", "static") else "/".join(["", first, *("*" for _ in rest)])
    return path, {name for name, _ in parse_qsl(parts.query)}
