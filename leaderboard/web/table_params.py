"""The query parameters of the tables."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from flask import Request

from leaderboard.results.validation import ADDRESS
from leaderboard.web import params
from leaderboard.web.pagination import BEST_IS_LEAST, Paging, named, resumed
from leaderboard.web.params import InvalidParameter, TimeRange
from queries import GROUP_COLUMNS, RANKING_COLUMNS, SCORE_INTERVALS, EventFilter

INTERVALS = {"1h": timedelta(days=2), "6h": timedelta(days=14), "1d": timedelta(days=366), "7d": timedelta.max}
"""The lengths of a bucket, and the longest window for which each is chosen where none is named."""
MOST_ORCHESTRATORS = 100
"""Of one request for their history."""
LIMIT, MOST_ROWS = 100, 1000
"""Rows of a page of the leaderboard: where it says nothing else, and at most."""
MOST_EVENTS = 10**15

assert tuple(INTERVALS) == SCORE_INTERVALS


class History(NamedTuple):
    """How a history is to be cut: the length of its buckets, whose it is, and what has rows of its own."""

    interval: str
    orchestrators: tuple[str, ...]
    by: tuple[str, ...]


def history(request: Request, window: TimeRange) -> History:
    """What score_history is asked beside its query; without an orchestrator, it is the network's."""
    given = ",".join(request.args.getlist("orchestrator")).lower().split(",")
    orchestrators = tuple(sorted({address.strip() for address in given} - {""}))
    if len(orchestrators) > MOST_ORCHESTRATORS:
        raise InvalidParameter(f"orchestrator may be given {MOST_ORCHESTRATORS} times, not {len(orchestrators)}")
    interval = request.args.get("interval") or _interval(window)
    if interval not in INTERVALS:
        raise InvalidParameter(f"interval must be one of {', '.join(INTERVALS)}, not {interval!r}")
    return History(interval, orchestrators, GROUP_COLUMNS if orchestrators else ("region",))


def tables_query(request: Request) -> EventFilter:
    """The events of a history or a ranking: a model needs its pipeline, and AI jobs may be of any."""
    query = params.jobs_query(request)
    if query.model and not query.pipeline:
        raise InvalidParameter("pipeline required")
    return query


def history_query(request: Request) -> EventFilter:
    """The events of a history; whose it is, ``history`` tells."""
    return replace(tables_query(request), orchestrator=None)


def min_events(request: Request) -> int:
    """How many events it takes to be ranked."""
    return _integer(request, "min_events", 0, 0, MOST_EVENTS)


def paging(request: Request, hours: float) -> Paging:
    """The portion that leaderboard is asked for, of the window of the first one."""
    sort = _one_of(request, "sort", RANKING_COLUMNS) or "score"
    order = _one_of(request, "order", ("asc", "desc")) or ("asc" if sort in BEST_IS_LEAST else "desc")
    ends = request.args.get("since"), request.args.get("until")
    question = named(tables_query(request), min_events(request), sort, order, ends)
    window = params.window(request, hours)
    first = Paging(sort, order == "desc", _integer(request, "limit", LIMIT, 1, MOST_ROWS), question, window)
    cursor = request.args.get("cursor")
    return resumed(first, cursor) if cursor else first


def address_query(address: str) -> EventFilter:
    """Whom a glance is asked of."""
    if not ADDRESS.fullmatch(address):
        raise InvalidParameter(f"orchestrator must be an address, 0x and 40 hexadecimal digits, not {address!r}")
    return EventFilter(orchestrator=address.lower())


def _interval(window: TimeRange) -> str:
    length = window.until - window.since
    return next(interval for interval, longest in INTERVALS.items() if length <= longest)


def _one_of(request: Request, name: str, known: tuple[str, ...]) -> str | None:
    given = request.args.get(name)
    if given and given not in known:
        raise InvalidParameter(f"{name} must be one of {', '.join(known)}, not {given!r}")
    return given


def _integer(request: Request, name: str, default: int, least: int, most: int) -> int:
    given = request.args.get(name)
    if not given:
        return default
    if not re.fullmatch(r"\d{1,15}", given, re.ASCII) or not least <= int(given) <= most:
        raise InvalidParameter(f"{name} must be an integer from {least} to {most}, not {given!r}")
    return int(given)
