"""The query parameters of a request, read into what the questions take."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flask import Request

from queries import AI, TRANSCODING, Query

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# a + that was not escaped in the URL has become a space
RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+ -]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
LATEST = 10**11
EARLIEST_MOMENT = datetime.min.replace(tzinfo=UTC)


class InvalidParameter(ValueError):
    """A parameter that cannot be read; the message names it."""


class Window(NamedTuple):
    """A span of time, both ends included; it is empty where since is after until."""

    since: datetime
    until: datetime


def window(request: Request, hours: float) -> Window:
    """The window a request asks for: the last ``hours`` where it names neither end."""
    return bounded(moment(request, "since"), moment(request, "until"), hours)


def bounded(since: datetime | None, until: datetime | None, hours: float) -> Window:
    """The window with these ends: until now, and from the earliest time or, with neither, ``hours`` ago."""
    if until is not None:
        return Window(since or EARLIEST_MOMENT, until)
    recent = last(hours)
    return Window(since or recent.since, recent.until)


def last(hours: float) -> Window:
    """The last ``hours``."""
    now = datetime.now(UTC)
    try:
        return Window(now - timedelta(hours=hours), now)
    except OverflowError:
        return Window(EARLIEST_MOMENT, now)


def moment(request: Request, name: str) -> datetime | None:
    """A parameter in unix seconds or RFC 3339 as an aware datetime; None where it is not given."""
    given = _text(request, name)
    if given is None:
        return None
    try:
        return parse_moment(given)
    except ValueError as error:
        raise InvalidParameter(f"{name} {error}") from None


def parse_moment(given: str) -> datetime:
    """An aware datetime from unix seconds, fractions allowed, or RFC 3339. Raises ValueError."""
    given = given.strip()
    if match := RFC_3339.fullmatch(given):
        date, time, zone = match.groups()
        try:
            return datetime.fromisoformat(f"{date}T{time}{zone.replace(' ', '+')}".upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"must be a date that exists, not {given!r}") from None
    seconds = float(given) if NUMBER.fullmatch(given) else math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"must be unix seconds (1789371400) or RFC 3339 (2026-09-14T07:36:40Z), not {given!r}")
    if abs(seconds) > LATEST:
        raise ValueError(f"must be in seconds; {given} is past 10^11, milliseconds by mistake?")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return EARLIEST_MOMENT


def scores_query(request: Request) -> Query:
    """What aggregated_stats is asked: AI needs both pipeline and model."""
    query = jobs_query(request)
    if query.model and not query.pipeline:
        raise InvalidParameter("pipeline required")
    if query.pipeline and not query.model:
        raise InvalidParameter("model required")
    if query.job_type == AI and not query.pipeline:
        raise InvalidParameter("pipeline and model required for job_type ai")
    return query


def results_query(request: Request) -> Query:
    """What raw_stats is asked: it needs an orchestrator, and a model needs its pipeline."""
    query = jobs_query(request)
    if query.orchestrator is None:
        raise InvalidParameter("orchestrator is a required parameter")
    if query.model and not query.pipeline:
        raise InvalidParameter("pipeline required")
    return query


def region_query(request: Request) -> Query:
    """What pipelines is asked."""
    return Query(job_type=AI, region=_upper(_text(request, "region")))


def orchestrator_query(request: Request) -> Query:
    """What top_ai_score is asked; without an orchestrator, nobody's."""
    return Query(job_type=AI, orchestrator=request.args.get("orchestrator", "").lower())


def jobs_query(request: Request) -> Query:
    """Which events a request names, whatever its question makes of them."""
    orchestrator = _text(request, "orchestrator")
    pipeline, model = _text(request, "pipeline"), _text(request, "model")
    job_type = _text(request, "job_type") or (AI if pipeline or model else TRANSCODING)
    if job_type not in (TRANSCODING, AI):
        raise InvalidParameter(f"job_type must be {TRANSCODING} or {AI}, not {job_type!r}")
    return Query(
        job_type=job_type,
        orchestrator=orchestrator and orchestrator.lower(),
        region=_upper(_text(request, "region")),
        pipeline=pipeline,
        model=model,
    )


def _text(request: Request, name: str) -> str | None:
    given = request.args.get(name) or None
    if given and "\0" in given:
        raise InvalidParameter(f"{name} must not contain the character NUL")
    return given


def _upper(code: str | None) -> str | None:
    return code and code.upper()
