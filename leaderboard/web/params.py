"""The query parameters of a request, read into what the questions take."""

from datetime import datetime

from flask import Request

from queries import AI, TRANSCODING, EventFilter
from queries.times import TimeRange, parse_moment, time_range


class InvalidParameter(ValueError):
    """A parameter that cannot be read; the message names it."""


def window(request: Request, hours: float) -> TimeRange:
    """The window a request asks for: the last ``hours`` where it names neither end."""
    return time_range(moment(request, "since"), moment(request, "until"), hours)


def moment(request: Request, name: str) -> datetime | None:
    """A parameter in unix seconds or RFC 3339 as an aware datetime; None where it is not given."""
    given = _text(request, name)
    if given is None:
        return None
    try:
        return parse_moment(given)
    except ValueError as error:
        raise InvalidParameter(f"{name} {error}") from None


def scores_query(request: Request) -> EventFilter:
    """What aggregated_stats is asked: AI needs both pipeline and model."""
    query = jobs_query(request)
    if query.model and not query.pipeline:
        raise InvalidParameter("pipeline required")
    if query.pipeline and not query.model:
        raise InvalidParameter("model required")
    if query.job_type == AI and not query.pipeline:
        raise InvalidParameter("pipeline and model required for job_type ai")
    return query


def results_query(request: Request) -> EventFilter:
    """What raw_stats is asked: it needs an orchestrator, and a model needs its pipeline."""
    query = jobs_query(request)
    if query.orchestrator is None:
        raise InvalidParameter("orchestrator is a required parameter")
    if query.model and not query.pipeline:
        raise InvalidParameter("pipeline required")
    return query


def region_query(request: Request) -> EventFilter:
    """What pipelines is asked."""
    return EventFilter(job_type=AI, region=_upper(_text(request, "region")))


def orchestrator_query(request: Request) -> EventFilter:
    """What top_ai_score is asked; without an orchestrator, nobody's."""
    return EventFilter(job_type=AI, orchestrator=request.args.get("orchestrator", "").lower())


def jobs_query(request: Request) -> EventFilter:
    """Which events a request names, whatever its question makes of them."""
    orchestrator = _text(request, "orchestrator")
    pipeline, model = _text(request, "pipeline"), _text(request, "model")
    job_type = _text(request, "job_type") or (AI if pipeline or model else TRANSCODING)
    if job_type not in (TRANSCODING, AI):
        raise InvalidParameter(f"job_type must be {TRANSCODING} or {AI}, not {job_type!r}")
    return EventFilter(
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
