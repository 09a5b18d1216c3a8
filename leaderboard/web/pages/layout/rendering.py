"""Renders templates as responses: cached like those of the API, with the headers of pages."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from flask import Response, render_template, request

from leaderboard.services import service
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import HTML, Format
from leaderboard.web.pages.layout.frame import state_values
from leaderboard.web.pages.layout.state import PageState, page_state
from leaderboard.web.rendering import ETAG_BYTES
from leaderboard.web.responses import cached_response
from queries import EventWindow

# only times change on a page whose events are the same, and the script keeps them current
_RELATIVE_TIME = re.compile(r"(<time[^>]*>)[^<]*")


def current_state() -> PageState:
    """The state of the current request. Raises InvalidParameter."""
    settings = service().settings
    return page_state(request, settings.start_time_window, settings.formula)


def page_response(
    state: PageState,
    windows: Sequence[EventWindow],
    template: str,
    values: Callable[[], Mapping[str, Any]],
    file_format: Format = HTML,
) -> Response:
    """Renders a page once for as long as its windows have the same events, and sends it.

    ``values`` are what the template takes beside ``state``, ``as_of`` (during
    an outage, the moment for which the first window is complete) and what
    ``state_values`` gives.
    """
    first = windows[0]
    versions = [window.version for window in windows]
    version = None if None in versions else " ".join(map(str, versions))

    def render() -> RenderedResponse:
        shown = {"state": state, "as_of": first.as_of, **state_values(state), **values()}
        return render_page(template, file_format, **shown)

    # during an outage the page says how old it is
    key = ("page", *state.cache_key, request.url_root, first.as_of)
    return cached_response(key, replace(first, version=version), render)


def render_page(template: str, file_format: Format = HTML, **values: Any) -> RenderedResponse:
    """A rendered template. Its ETag does not depend on how long ago its times are."""
    body = render_template(template, now=datetime.now(UTC), **values)
    steady = _RELATIVE_TIME.sub(r"\1", body)
    etag = blake2b(steady.encode(errors="surrogatepass"), digest_size=ETAG_BYTES).hexdigest()
    return RenderedResponse(body.encode(errors="replace"), etag, file_format)
