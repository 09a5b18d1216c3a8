"""The query parameters of a request, parsed into what the query functions take."""

from dataclasses import replace
from datetime import datetime, timedelta

from flask import Request

from queries import AI, FORMULAS, TRANSCODING, EventFilter, Formula, times
from queries.errors import quote
from queries.times import WINDOWS, TimeRange

_HOUR = timedelta(hours=1)


class InvalidParameter(ValueError):
    """A parameter that cannot be read. The message names it."""


def time_range(request: Request, default_hours: float) -> TimeRange:
    """The window from ``since`` to ``until`` or of the name ``window``, or the last hours if all are missing."""
    name = choice(request, "window", tuple(WINDOWS))
    if name is not None:
        if request.args.get("since") or request.args.get("until"):
            raise InvalidParameter("window must not be combined with since or until")
        return times.last_hours(WINDOWS[name] / _HOUR)
    return times.time_range(moment(request, "since"), moment(request, "until"), default_hours)


def moment(request: Request, name: str) -> datetime | None:
    """An aware datetime from unix seconds, RFC 3339 or a date, or None if the parameter is missing."""
    text = _text(request, name)
    if text is None:
        return None
    try:
        return times.parse_moment(text)
    except ValueError as error:
        raise InvalidParameter(f"{name} {error}") from None


def scores_filter(request: Request) -> EventFilter:
    """The filter of aggregated_stats. AI jobs need both pipeline and model."""
    event_filter = model_filter(request)
    if event_filter.pipeline and not event_filter.model:
        raise InvalidParameter("model required")
    if event_filter.job_type == AI and not event_filter.pipeline:
        raise InvalidParameter("pipeline and model required for job_type ai")
    return event_filter


def formula(request: Request, default: Formula) -> Formula:
    """The formula that ``formula`` names, with busy orchestrators unscored if ``busy`` says so."""
    released = {str(number): formula for number, formula in FORMULAS.items()}
    name = choice(request, "formula", tuple(released))
    chosen = released[name] if name else default
    return replace(chosen, ignores_busy=True) if choice(request, "busy", ("ignore",)) else chosen


def warm(request: Request) -> bool | None:
    """Whether only results of warm models (true), or of cold ones (false), count."""
    text = choice(request, "warm", ("true", "false"))
    return None if text is None else text == "true"


def results_filter(request: Request) -> tuple[str, EventFilter]:
    """The orchestrator of raw_stats, which is required, and the filter, which has it as well."""
    event_filter = job_filter(request)
    if event_filter.orchestrator is None:
        raise InvalidParameter("orchestrator is a required parameter")
    return event_filter.orchestrator, model_filter(request)


def pipelines_filter(request: Request) -> EventFilter:
    """The filter of pipelines."""
    return EventFilter(job_type=AI, region=_upper(_text(request, "region")))


def incident_filter(request: Request) -> dict[str, str | None]:
    """The region and the job type of incidents. None is any."""
    job_type = _text(request, "job_type")
    if job_type not in (None, TRANSCODING, AI):
        raise InvalidParameter(f"job_type must be {TRANSCODING} or {AI}, not {quote(job_type or '')}")
    return {"region": _upper(_text(request, "region")), "job_type": job_type}


def top_score_filter(request: Request) -> EventFilter:
    """The filter of top_ai_score. Without an orchestrator it matches nothing."""
    return EventFilter(job_type=AI, orchestrator=request.args.get("orchestrator", "").lower())


def model_filter(request: Request, address: str | None = None) -> EventFilter:
    """The filter of a query that may be about one model, which needs its pipeline. See job_filter."""
    event_filter = job_filter(request, address)
    if event_filter.model and not event_filter.pipeline:
        raise InvalidParameter("pipeline required")
    return event_filter


def job_filter(request: Request, address: str | None = None) -> EventFilter:
    """The filter from job_type, orchestrator, region, pipeline and model, whatever the query makes of them.

    ``address`` is the orchestrator where the path names one.
    """
    orchestrator = address or _text(request, "orchestrator")
    pipeline, model = _text(request, "pipeline"), _text(request, "model")
    job_type = _text(request, "job_type") or (AI if pipeline or model else TRANSCODING)
    if job_type not in (TRANSCODING, AI):
        raise InvalidParameter(f"job_type must be {TRANSCODING} or {AI}, not {quote(job_type)}")
    return EventFilter(
        job_type=job_type,
        orchestrator=orchestrator and orchestrator.lower(),
        region=_upper(_text(request, "region")),
        pipeline=pipeline,
        model=model,
        warm=warm(request),
    )


def choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """The value of a parameter that takes only these, or None if it is missing."""
    text = request.args.get(name) or None
    if text is not None and text not in choices:
        allowed = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
        raise InvalidParameter(f"{name} must be {allowed}, not {quote(text)}")
    return text


def _text(request: Request, name: str) -> str | None:
    text = request.args.get(name) or None
    if text and "\0" in text:
        raise InvalidParameter(f"{name} must not contain the character NUL")
    return text


def _upper(code: str | None) -> str | None:
    return code and code.upper()
