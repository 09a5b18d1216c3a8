"""What of each event counts towards scores, as a formula has it."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.filters import AI, TRANSCODING, EventFilter, apply_filter, match_columns
from queries.schema import BUSY_ERRORS, NO_ERRORS, with_optional_columns
from queries.scoring.formula import LIVE_PIPELINE, Formula

MEASURES = ("success_rate", "round_trip_time", "seg_duration")
AI_KEYS = ("pipeline", "model")
"""The columns that name an AI job."""


def network_jobs(events: NarwhalsFrame, event_filter: EventFilter, formula: Formula) -> NarwhalsFrame:
    """The events that the medians of a question are taken of, with the values that the formula counts.

    These are the events of the filter's job type, pipeline and model, and of
    its region where the formula says so. See ``_with_counted_values``.
    """
    pipeline = "pipeline" if formula.merges_spellings else "exact_pipeline"
    columns = (pipeline, "model") if formula.uses_network_median else (pipeline, "model", "region", "warm")
    events = apply_filter(with_optional_columns(events), event_filter, *columns)
    return _with_counted_values(events, event_filter.job_type, formula)


def select_jobs(network: NarwhalsFrame, event_filter: EventFilter) -> NarwhalsFrame:
    """The events of ``network_jobs`` that the filter's region and ``warm`` select."""
    return match_columns(network, event_filter, "region", "warm")


def _with_counted_values(jobs: NarwhalsFrame, job_type: str, formula: Formula) -> NarwhalsFrame:
    """The events of one job type, with the values that a formula counts.

    - AI events without a pipeline or a model are left out. ``pipeline`` is the
      slug where the formula merges spellings.
    - The measures of an unscored event are null.
    - ``quality`` (Float64, 0..1; AI only) is how good a live stream was, null
      where an event does not tell.
    """
    if job_type == AI:
        jobs = jobs.filter(~nw.col("pipeline").is_null(), ~nw.col("model").is_null())
        if formula.skips_double_posts:
            jobs = jobs.filter(~_is_double_post())
    if (unscored := _unscored(job_type, formula)) is not None:
        jobs = jobs.with_columns(counts=~unscored)
        jobs = jobs.with_columns(*(nw.when(nw.col("counts")).then(nw.col(name)).alias(name) for name in MEASURES))
    if job_type != AI:
        return jobs
    jobs = jobs.with_columns(quality=_quality() if formula.rates_live_video else nw.lit(None).cast(nw.Float64()))
    return jobs.with_columns(pipeline=nw.col("pipeline_slug")) if formula.merges_spellings else jobs


def with_spellings(
    jobs: NarwhalsFrame,
    events: NarwhalsFrame,
    event_filter: EventFilter,
    formula: Formula,
    keys: tuple[str, ...] = (),
) -> NarwhalsFrame:
    """Rows with ``pipeline`` as the filter spells it, or as the newest of the ``events`` with the same ``keys`` do."""
    if event_filter.job_type != AI or not formula.merges_spellings:
        return jobs
    if event_filter.pipeline is not None:
        return jobs.with_columns(pipeline=nw.lit(event_filter.pipeline))
    spellings = newest_spellings(events, keys).rename({"pipeline": "spelling"})
    spelled = jobs.join(spellings, left_on=[*keys, "pipeline"], right_on=[*keys, "pipeline_slug"], how="left")
    return spelled.with_columns(pipeline=nw.col("spelling"))


def timed(jobs: NarwhalsFrame, job_type: str, formula: Formula) -> NarwhalsFrame:
    """The jobs of ``is_timed``."""
    return jobs.filter(is_timed(job_type, formula))


def is_timed(job_type: str, formula: Formula) -> nw.Expr:
    """Whether a job succeeded and took time. Live video has a quality instead, where the formula knows of it."""
    return successful() & ~_is_live() if job_type == AI and formula.rates_live_video else successful()


def successful() -> nw.Expr:
    """Whether an event counts towards the network's median: it succeeded, and its time is not 0."""
    return (nw.col("success_rate") == 1) & (nw.col("round_trip_time") != 0)


def newest_spellings(events: NarwhalsFrame, keys: tuple[str, ...] = ()) -> NarwhalsFrame:
    """One row per ``keys`` and pipeline_slug of the AI events: ``pipeline`` as its newest event spells it."""
    named = apply_filter(with_optional_columns(events), EventFilter(job_type=AI))
    spellings = (
        named.filter(~nw.col("pipeline").is_null())
        .group_by(*keys, "pipeline_slug", "pipeline")
        .agg(nw.col("event_time").max().alias("last_seen"))
    )
    newest = spellings.filter(nw.col("last_seen") == nw.col("last_seen").max().over(*keys, "pipeline_slug"))
    # of two at the same moment, any one that does not depend on the order of the events
    return newest.group_by(*keys, "pipeline_slug").agg(nw.col("pipeline").cast(nw.String()).max())


def _unscored(job_type: str, formula: Formula) -> nw.Expr | None:
    """Whether an event is unscored, or None where none is."""
    reasons = []
    if formula.skips_unscored:
        reasons.append(nw.col("outcome").cast(nw.String()).str.starts_with("unscored").fill_null(value=False))
    if formula.ignores_busy and job_type == TRANSCODING:
        reasons.append((nw.col("error_kind") == BUSY_ERRORS) & (nw.col("success_rate") < 1))
    return nw.any_horizontal(*reasons, ignore_nulls=True) if reasons else None


def _is_live() -> nw.Expr:
    return nw.col("pipeline_slug") == LIVE_PIPELINE


def _is_double_post() -> nw.Expr:
    return _is_live() & (nw.col("success_rate") >= 1) & (nw.col("error_kind") != NO_ERRORS)


def _quality() -> nw.Expr:
    """The posted quality of a stream that succeeded, null if it is in seconds, and 0 for a stream that failed."""
    posted, succeeded = nw.col("round_trip_time"), nw.col("success_rate") == 1
    quality = nw.when(succeeded & (posted <= 1)).then(posted).when(nw.col("success_rate") < 1).then(nw.lit(0.0))
    return nw.when(_is_live()).then(quality)
