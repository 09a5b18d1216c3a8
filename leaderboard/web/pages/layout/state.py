"""The state of a page: what its URL asks for, and links that change one part of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from flask import Request, url_for

from leaderboard.web import params, table_params
from queries import SUGGESTED_MIN_EVENTS, TRANSCODING, EventFilter, Formula
from queries.times import WINDOWS, TimeRange

FILTER_PARAMETERS = ("job_type", "pipeline", "model", "region", "warm")
WINDOW_PARAMETERS = ("window", "since", "until")
FORMULA_PARAMETERS = ("formula", "busy")
SHARED_PARAMETERS = (*FILTER_PARAMETERS, *WINDOW_PARAMETERS, *FORMULA_PARAMETERS)
"""What a link from one page to another takes along."""
PAGE_PARAMETERS = (
    *("min_events", "min_score", "sort", "order", "view", "show", "page"),
    *("q", "o", "orchestrator", "result"),
)
"""What only some pages take. Everything else in a URL is ignored."""
WINDOW_NAMES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days", "1y": "a year"}

assert tuple(WINDOW_NAMES) == tuple(WINDOWS)


@dataclass(frozen=True)
class PageState:
    """What the URL of a page asks for.

    ``given`` are its parameters that are not empty, the first value of each;
    ``path_values`` the parts of its path. ``endpoint`` is the view's name,
    ``pages.ranking`` and so on. ``cache_key`` has all of that, and every value
    of a parameter that was given several times.
    """

    endpoint: str
    path_values: Mapping[str, Any]
    given: Mapping[str, str]
    event_filter: EventFilter
    formula: Formula
    time_range: TimeRange
    min_events: int
    cache_key: tuple[object, ...]

    def link(self, endpoint: str | None = None, **changes: object) -> str:
        """The URL of this page with other values; None removes a parameter. Every change leads back to the first page.

        With an ``endpoint`` the URL of another page, which takes only
        SHARED_PARAMETERS along; parts of its path are among the ``changes``.
        """
        if endpoint is None:
            kept = {name: value for name, value in self.given.items() if name != "page"} | dict(self.path_values)
        else:
            kept = {name: value for name, value in self.given.items() if name in SHARED_PARAMETERS}
        values = {name: value for name, value in (kept | changes).items() if value is not None}
        return url_for(endpoint or self.endpoint, **values)

    def window_link(self, name: str) -> str:
        """The URL of this page with one of WINDOW_NAMES."""
        return self.link(window=name, since=None, until=None)

    def job_link(self, job_type: str, pipeline: str | None = None, model: str | None = None) -> str:
        """The URL of this page for another job."""
        warm = self.given.get("warm") if job_type == "ai" else None
        return self.link(job_type=job_type, pipeline=pipeline, model=model, warm=warm)

    def api_link(self, path: str, *, absolute: bool = False, **changes: object) -> str:
        """The URL of an endpoint of the API that answers the same, ``path`` being its part after /api/."""
        values = {name: value for name, value in self.given.items() if name in SHARED_PARAMETERS}
        values |= {name: str(value) for name, value in changes.items() if value is not None}
        root = url_for("pages.ranking", _external=absolute).rstrip("/")
        return f"{root}/api/{path}" + (f"?{urlencode(values)}" if values else "")

    def event_filter_with(self, **changes: str | None) -> EventFilter:
        """The filter with other values."""
        return replace(self.event_filter, **changes)  # type: ignore[arg-type]

    @property
    def names_one_job(self) -> bool:
        """Whether all results of the page are of one job, so that their times can be compared."""
        return self.event_filter.job_type == TRANSCODING or self.event_filter.model is not None

    @cached_property
    def window_name(self) -> str | None:
        """The name of the window, None if it has bounds of its own."""
        if "since" in self.given or "until" in self.given:
            return None
        length = self.time_range.until - self.time_range.since
        return self.given.get("window") or next((name for name, span in WINDOWS.items() if span == length), "default")

    @cached_property
    def previous_range(self) -> TimeRange | None:
        """The window of the same length before this one. None where this one begins with the first result."""
        since, until = self.time_range
        if "until" in self.given and "since" not in self.given:
            return None
        try:
            return TimeRange(since - (until - since), since)
        except OverflowError:
            return None


def page_state(request: Request, default_hours: float, default_formula: Formula) -> PageState:
    """The state of a request. Raises InvalidParameter."""
    known = (*SHARED_PARAMETERS, *PAGE_PARAMETERS)
    values = [(name, value) for name, value in request.args.items(multi=True) if name in known and value.strip()]
    given = dict(reversed(values))
    return PageState(
        endpoint=request.endpoint or "",
        path_values=request.view_args or {},
        given=given,
        event_filter=replace(params.model_filter(request), orchestrator=None),
        formula=params.formula(request, default_formula),
        time_range=params.time_range(request, default_hours),
        min_events=table_params.min_events(request, SUGGESTED_MIN_EVENTS),
        cache_key=(request.endpoint, sorted((request.view_args or {}).items()), sorted(values)),
    )
