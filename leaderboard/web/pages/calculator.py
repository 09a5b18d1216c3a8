"""The score of one result by each formula, with the steps that lead to it."""

import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import polars as pl
from markupsafe import Markup

import queries
from leaderboard.results.validation import Result
from leaderboard.web.pages.drawing.notation import typeset
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.state import PageState
from queries import AI, EVENT_SCHEMA, EventFilter, EventWindow, Exclusion, Formula

LIVE_PIPELINE = "live-video-to-video"
THIS_RESULT = "this result"
"""Stands for the orchestrator, so that the others' results and its own stay apart from the one that is scored."""
_ERRORS = {"busy": [{"error_code": "OrchestratorBusy", "count": 1}], "other": [{"error_code": "an error", "count": 1}]}


class Step(NamedTuple):
    """One step of a calculation: what it computes, how, and what comes out."""

    name: str
    calculation: Markup
    value: str


class Calculation(NamedTuple):
    """The score of a result by one formula. Without a score, ``sentence`` says why."""

    formula: Formula
    score: float | None
    sentence: str
    steps: tuple[Step, ...]


def event_of(result: Result, body: bytes) -> pl.DataFrame:
    """A result that was just received as one row of EVENT_SCHEMA. ``body`` is the JSON that it was read from."""
    is_ai = result.job_type == AI
    row = {
        "id": -1,
        "event_time": datetime.now(UTC),
        "orchestrator": result.orchestrator.lower(),
        "region": result.region.upper(),
        "job_type": result.job_type,
        "pipeline": result.pipeline if is_ai else None,
        "model": result.model if is_ai else None,
        "success_rate": result.success_rate,
        "round_trip_time": result.round_trip_time,
        "seg_duration": result.seg_duration,
        "payload": json.dumps(msgspec.json.decode(body)),
    }
    dtypes = {"pipeline": pl.String(), "model": pl.String(), "event_time": pl.Datetime("us", "UTC")}
    rows = pl.LazyFrame([row], schema_overrides=dtypes)
    return queries.with_posted_fields(rows).select(*EVENT_SCHEMA).collect()


def newest_event(window: EventWindow, state: PageState, orchestrator: str) -> pl.DataFrame:
    """The newest result of an orchestrator as a row of EVENT_SCHEMA, of the job that the page names if it names one."""
    job = state.event_filter
    conditions = [pl.col("orchestrator") == orchestrator]
    if job.region is not None:
        conditions.append(pl.col("region") == job.region)
    if state.given.keys() & {"job_type", "pipeline", "model"}:
        conditions.append(pl.col("job_type") == job.job_type)
    if job.pipeline is not None:
        conditions.append(pl.col("pipeline_slug") == re.sub("[ _]", "-", job.pipeline.lower()))
    if job.model is not None:
        conditions.append(pl.col("model") == job.model)
    return window.collect(lambda events: events.lazy().filter(*conditions).sort("event_time", "id").tail(1))


def result_of(event: dict[str, Any]) -> str:
    """The fields of an event that formulas read, as the JSON of a result."""
    result = {
        **{name: event[name] for name in ("region", "orchestrator", "success_rate", "round_trip_time", "seg_duration")},
        "pipeline": event["pipeline"],
        "model": event["model"],
        "model_is_warm": event["warm"],
        "test_outcome": event["outcome"],
        "errors": _ERRORS.get(event["error_kind"]),
    }
    return json.dumps({name: value for name, value in result.items() if value is not None}, ensure_ascii=False)


def calculate(
    event: pl.DataFrame, window: EventWindow, exclusions: tuple[Exclusion, ...], formula: Formula
) -> Calculation:
    """The score that one result has by itself, among the results of the window that ``formula`` scores."""
    row = event.row(0, named=True)
    job = EventFilter(row["job_type"], region=row["region"], pipeline=row["pipeline"], model=row["model"])
    counted = queries.leave_out(event, exclusions) if formula.applies_exclusions else event
    if counted.is_empty():
        return Calculation(formula, None, "Left out: an operator excluded this span of its region.", ())
    scored = _score(counted, window, job, formula)
    if scored is None:
        sentence = "Left out: a stream that succeeded and has errors is the second result of a run that failed."
        return Calculation(formula, None, sentence, ())
    if scored["events"] == 0:
        return Calculation(formula, None, f"Unscored: {_why_unscored(row)} It counts neither for nor against.", ())
    is_live = formula.rates_live_video and row["pipeline_slug"] == LIVE_PIPELINE
    steps = [_success_step(row, scored["success_rate"])]
    if job.job_type != AI:
        steps += _transcoding_steps(scored)
    elif is_live:
        steps += [*_quality_steps(scored), _weighted_step(scored, formula)]
    else:
        steps += [
            *_speed_steps(scored, _network_jobs(window, row["id"], job, formula), formula),
            _weighted_step(scored, formula),
        ]
    return Calculation(formula, scored["score"], "", tuple(steps))


def _score(event: pl.DataFrame, window: EventWindow, job: EventFilter, formula: Formula) -> dict[str, Any] | None:
    """The row of score_history of the event alone, or None where the formula leaves it out."""
    moment = event["event_time"][0]
    own = event.with_columns(orchestrator=pl.lit(THIS_RESULT))

    def query(events: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
        others = events.filter(pl.col("id") != event["id"][0])
        network = _append(others, own)
        # as if all were received at once: formulas without a half-life do not care, and a bucket then has them all
        history: pl.DataFrame | pl.LazyFrame = queries.score_history(
            network.with_columns(event_time=pl.lit(moment, dtype=own.schema["event_time"])),
            job,
            orchestrators=(THIS_RESULT,),
            group_columns=("orchestrator",),
            formula=formula,
        )
        return history

    rows = window.collect(query)
    return None if rows.is_empty() else rows.row(0, named=True)


def _append(events: pl.DataFrame | pl.LazyFrame, rows: pl.DataFrame) -> pl.DataFrame | pl.LazyFrame:
    """The events and these rows with the events' dtypes; eager where the events are, as plans are kept then."""
    typed = rows.cast(events.collect_schema())
    if isinstance(events, pl.DataFrame):
        return pl.concat([events, typed])
    return pl.concat([events, typed.lazy()])


def _network_jobs(window: EventWindow, own_id: int, job: EventFilter, formula: Formula) -> str:
    """How many other jobs the median is taken of, in words."""
    region = None if formula.uses_network_median else job.region
    job_anywhere = EventFilter(AI, region=region, pipeline=job.pipeline, model=job.model)

    def query(events: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
        others = events.filter(pl.col("id") != own_id)
        return queries.network_stats(others, job_anywhere, group_columns=(), formula=formula)

    stats = window.collect(query)
    succeeded = 0 if stats.is_empty() else stats["succeeded"][0]
    return f"{formats.plural(succeeded, 'other successful job')} in {region or 'all regions'}"


def _why_unscored(row: dict[str, Any]) -> str:
    if row["outcome"] is not None and row["outcome"].startswith("unscored"):
        return f"the tester posted the outcome {row['outcome']}."
    return "the orchestrator was busy."


def _success_step(row: dict[str, Any], success_rate: float) -> Step:
    posted = row["success_rate"]
    calculation = f"success_rate = {_number(posted)}"
    if posted > success_rate:
        calculation += ", and a higher one than 1 counts as 1"
    return Step("s, the share that succeeded", typeset(calculation, ()), _number(success_rate))


def _transcoding_steps(scored: dict[str, Any]) -> list[Step]:
    """Of one result, the sums are its values."""
    duration, time, speed = scored["sum_seg_duration"], scored["sum_round_trip_time"], scored["round_trip_score"]
    steps = [
        Step("d, seconds of video", typeset("seg_duration", ()), _number(duration)),
        Step("t, seconds until it was back", typeset("round_trip_time", ()), _number(time)),
    ]
    if time == 0:
        steps.append(Step("round_trip_score", typeset("0, as t = 0", "t"), _number(speed)))
    else:
        ratio = duration / time
        steps += [
            Step("d / t", typeset(f"{_number(duration)} / {_number(time)}", ()), _number(ratio)),
            Step("round_trip_score", typeset(f"1 − e^(−{_number(ratio)})", ()), _number(speed)),
        ]
    return [
        *steps,
        Step("score", typeset(f"{_number(scored['success_rate'])} · {_number(speed)}", ()), _number(scored["score"])),
    ]


def _quality_steps(scored: dict[str, Any]) -> list[Step]:
    if scored["quality_events"] == 0:
        sentence = "0, as a time above 1 says nothing about the quality"
        return [Step("round_trip_score", typeset(sentence, ()), _number(scored["round_trip_score"]))]
    posted = "round_trip_time, which has the quality of a live stream; 0 for a failure"
    return [
        Step("q, the quality", typeset(posted, ()), _number(scored["sum_quality"])),
        Step("round_trip_score", typeset("q", "q"), _number(scored["round_trip_score"])),
    ]


def _speed_steps(scored: dict[str, Any], jobs: str, formula: Formula) -> list[Step]:
    time, median, speed = scored["sum_round_trip_time"], scored["median_round_trip_time"], scored["round_trip_score"]
    steps = [Step("t, seconds until it was back", typeset("round_trip_time", ()), _number(time))]
    if median is None:
        return [*steps, Step("round_trip_score", typeset("0, as no such job succeeded", ()), _number(speed))]
    ratio = time / median
    return [
        *steps,
        Step("m, the network's median", typeset(f"of {jobs}, and of this one if it succeeded", ()), _number(median)),
        Step("t / m", typeset(f"{_number(time)} / {_number(median)}", ()), _number(ratio)),
        Step("round_trip_score", typeset(f"{formula.score_at_median:g}^({_number(ratio)})", ()), _number(speed)),
    ]


def _weighted_step(scored: dict[str, Any], formula: Formula) -> Step:
    success, speed = scored["success_rate"], scored["round_trip_score"]
    weighted = (
        f"{formula.success_weight:g} · {_number(success)} + {formula.round_trip_weight:g} · {_number(speed)}"
        if success
        else "0, as s = 0"
    )
    return Step("score", typeset(weighted, ()), _number(scored["score"]))


def _number(value: float) -> str:
    """A number with four digits."""
    return f"{value:.4g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.3e}"
