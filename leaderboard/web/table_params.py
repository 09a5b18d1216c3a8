"""The query parameters of the endpoints that return tables, beside their filter and window."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from flask import Request

from leaderboard.results.validation import ADDRESS
from leaderboard.web import params
from leaderboard.web.pagination import ASCENDING_COLUMNS, Paging, hash_query, resume
from leaderboard.web.params import InvalidParameter
from queries import (
    AI,
    GROUP_COLUMNS,
    NETWORK_GROUP_COLUMNS,
    RANKING_COLUMNS,
    SCORE_INTERVALS,
    EventFilter,
    Formula,
)
from queries.errors import quote
from queries.times import TimeRange

INTERVALS = {"1h": timedelta(days=2), "6h": timedelta(days=14), "1d": timedelta(days=366), "7d": timedelta.max}
"""The lengths of a bucket, and the longest window for which each is the default."""
MAX_ORCHESTRATORS = 100
"""In one request for a history."""
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Rows on a page of the ranking."""
MAX_MIN_EVENTS = 10**15
DEFAULT_NETWORK_GROUPS, UNGROUPED = ("region", "pipeline", "model"), "none"
"""How network_stats groups if nothing else is asked for, and what asks for one row."""
GATEWAY_MIN_SCORE, GATEWAY_MIN_EVENTS = 0.7, 3
"""What gateway_preview takes for a gateway's -minPerfScore, and for enough tests: those of an AI job in one day."""

assert tuple(INTERVALS) == SCORE_INTERVALS


class HistoryOptions(NamedTuple):
    """The interval of a history's buckets, the orchestrators (none: the whole network), and the columns that group."""

    interval: str
    orchestrators: tuple[str, ...]
    group_columns: tuple[str, ...]


class NodeOptions(NamedTuple):
    """Which nodes discovery lists: at least this score and number of scored results, the first ``limit`` of them.

    With ``trusted``, each has the score 1.
    """

    min_score: float
    min_events: int
    limit: int
    trusted: bool


class GatewayOptions(NamedTuple):
    """The score that a gateway demands, and with how many scored results an orchestrator was tested enough."""

    min_score: float
    min_events: int


def history_options(request: Request, time_range: TimeRange) -> HistoryOptions:
    """The parameters of score_history beside its filter. The window chooses the interval if none is given."""
    texts = ",".join(request.args.getlist("orchestrator")).lower().split(",")
    orchestrators = tuple(sorted({text.strip() for text in texts} - {""}))
    if len(orchestrators) > MAX_ORCHESTRATORS:
        raise InvalidParameter(f"orchestrator may be given {MAX_ORCHESTRATORS} times, not {len(orchestrators)}")
    interval = request.args.get("interval") or _default_interval(time_range)
    if interval not in INTERVALS:
        raise InvalidParameter(f"interval must be one of {', '.join(INTERVALS)}, not {quote(interval)}")
    return HistoryOptions(interval, orchestrators, GROUP_COLUMNS if orchestrators else ("region",))


def history_filter(request: Request) -> EventFilter:
    """The filter of score_history, without the orchestrators, which are among the options."""
    return replace(params.model_filter(request), orchestrator=None)


def explanation_filter(request: Request, address: str) -> EventFilter:
    """The filter of the explanation of the orchestrator at this address."""
    return params.model_filter(request, parse_address(address))


def min_events(request: Request, default: int = 0) -> int:
    """The fewest events with which an orchestrator is ranked."""
    return integer(request, "min_events", default, 0, MAX_MIN_EVENTS)


def paging(request: Request, default_hours: float, formula: Formula) -> Paging:
    """The page of the ranking. A cursor brings the window of the first page with it."""
    sort = params.choice(request, "sort", RANKING_COLUMNS) or "score"
    order = params.choice(request, "order", ("asc", "desc")) or ("asc" if sort in ASCENDING_COLUMNS else "desc")
    ends = tuple(request.args.get(name) for name in ("since", "until", "window"))
    query_hash = hash_query(params.model_filter(request), formula, min_events(request), sort, order, ends)
    limit = integer(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    first = Paging(sort, order == "desc", limit, query_hash, params.time_range(request, default_hours))
    cursor = request.args.get("cursor")
    return resume(first, cursor) if cursor else first


def network_groups(request: Request) -> tuple[str, ...]:
    """The columns by which network_stats groups; UNGROUPED asks for one row."""
    texts = ",".join(request.args.getlist("group_by")) or ",".join(DEFAULT_NETWORK_GROUPS)
    names = [name for text in texts.split(",") if (name := text.strip())]
    if names == [UNGROUPED]:
        return ()
    for name in names:
        if name not in NETWORK_GROUP_COLUMNS:
            allowed = ", ".join(NETWORK_GROUP_COLUMNS)
            raise InvalidParameter(
                f"group_by takes {allowed} with commas between them, or {UNGROUPED}, not {quote(name)}"
            )
    return tuple(name for name in NETWORK_GROUP_COLUMNS if name in names)


def discovery_filter(request: Request) -> EventFilter:
    """The filter of discovery. Only AI testers name the nodes that they test, so AI is the default."""
    event_filter = params.model_filter(request)
    return event_filter if request.args.get("job_type") else replace(event_filter, job_type=AI)


def node_options(request: Request) -> NodeOptions:
    """The parameters of discovery beside its filter."""
    return NodeOptions(
        share(request, "min_score", 0.0),
        integer(request, "min_events", 1, 0, MAX_MIN_EVENTS),
        integer(request, "limit", MAX_LIMIT, 1, MAX_LIMIT),
        params.choice(request, "trusted", ("true", "false")) == "true",
    )


def gateway_filter(request: Request) -> EventFilter:
    """The filter of gateway_preview, which needs a region."""
    event_filter = params.scores_filter(request)
    if event_filter.region is None:
        raise InvalidParameter("region is a required parameter")
    return event_filter


def gateway_options(request: Request) -> GatewayOptions:
    """The parameters of gateway_preview beside its filter."""
    return GatewayOptions(
        share(request, "min_score", GATEWAY_MIN_SCORE),
        integer(request, "min_events", GATEWAY_MIN_EVENTS, 1, MAX_MIN_EVENTS),
    )


def includes_removed(request: Request) -> bool:
    """Whether exclusions that were removed are answered as well."""
    return params.choice(request, "all", ("true", "false")) == "true"


def parse_address(text: str) -> str:
    """The address in lower case."""
    if not ADDRESS.fullmatch(text):
        raise InvalidParameter(f"orchestrator must be an address, 0x and 40 hexadecimal digits, not {quote(text)}")
    return text.lower()


def _default_interval(time_range: TimeRange) -> str:
    length = time_range.until - time_range.since
    return next(interval for interval, max_length in INTERVALS.items() if length <= max_length)


def integer(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    """The value of a parameter that takes whole numbers."""
    text = request.args.get(name)
    if not text:
        return default
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII) or not minimum <= int(text) <= maximum:
        raise InvalidParameter(f"{name} must be an integer from {minimum} to {maximum}, not {quote(text)}")
    return int(text)


def share(request: Request, name: str, default: float) -> float:
    """The value of a parameter that takes numbers from 0 to 1."""
    text = request.args.get(name)
    if not text:
        return default
    if not re.fullmatch(r"(\d{1,15}\.?\d{0,15}|\.\d{1,15})", text, re.ASCII) or float(text) > 1:
        raise InvalidParameter(f"{name} must be a number from 0 to 1, not {quote(text)}")
    return float(text)
