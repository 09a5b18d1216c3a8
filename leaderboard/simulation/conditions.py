"""How a test goes: what the orchestrator and the tester are like at that moment."""

from math import pi
from random import Random

import polars as pl

from leaderboard.simulation.draws import bell, with_draws
from leaderboard.simulation.incidents import FAILURES, SLOWNESS
from leaderboard.simulation.network import DAY_SECONDS

DRAWS = ("busy_draw", "success_draw", "incident_draw", "kind_draw", "time_draw", "detail_draw", "cold_draw")
"""Columns of random numbers (0..1), one per test. ``kind_draw`` chooses how it fails."""

SPELL_THRESHOLD, SPELL_LOSS = 0.94, 0.4
"""A bad week is when the sine of the spell is above this, and how many more jobs fail then."""
INCIDENT_FAILURES = 0.92
"""The share of jobs that fail during an incident of the kind ``failures``."""
INCIDENT_SLOWNESS = 4.0
"""The factor of all times during an incident of the kind ``slowness``."""
CAPPED, BUSY = "OrchestratorCapped", "OrchestratorBusy"
"""The error codes with which a gateway says that an orchestrator has no capacity left."""
POSTED_FIELDS: dict[str, tuple[str, type[pl.DataType]]] = {
    "pipeline": ("pipeline", pl.String),
    "model": ("model", pl.String),
    "success_rate": ("success_rate", pl.Float64),
    "round_trip_time": ("round_trip_time", pl.Float64),
    "seg_duration": ("seg_duration", pl.Float64),
    "outcome": ("test_outcome", pl.String),
    "error_kind": ("errors", pl.String),
    "warm": ("model_is_warm", pl.Boolean),
    "service_uri": ("input_parameters", pl.String),
}
"""Columns of EVENT_SCHEMA, each with the field that it follows from, and its type. A field that is absent is null."""
MAX_DELAY_SECONDS = 20
"""A result is received up to so long after the end of its test."""


def with_conditions(tests: pl.DataFrame, random: Random) -> pl.DataFrame:
    """Tests joined with their targets and incidents, and how each goes.

    Adds DRAWS and: busy (Boolean: refused for lack of capacity), broken
    (Boolean: it failed for another reason), cut_off (Boolean: it failed because
    of the tester), failed (any of them), slowness (factor of the times), noise
    (another), ended (Int64, unix seconds: the end of the test).
    """
    seconds = pl.col("moment").dt.epoch("us") / 1e6
    drift = pl.col("wobble") * (2 * pi * seconds / pl.col("period") + pl.col("phase")).sin()
    in_spell = (2 * pi * seconds / pl.col("spell_period") + pl.col("spell_phase")).sin() > SPELL_THRESHOLD
    # the sun is highest when this is 0: people are awake around it, and pay for jobs
    sun = 2 * pi * (seconds / DAY_SECONDS + pl.col("longitude") / 360 - 0.5)
    slow = pl.col("incident").eq_missing(SLOWNESS)
    return (
        with_draws(tests, random, *DRAWS)
        .with_columns(
            busy=pl.col("busy_draw") < pl.col("load") * (1 + 0.8 * sun.cos()),
            broken=pl.col("success_draw")
            > (pl.col("reliability") - SPELL_LOSS * in_spell + (drift / 4).clip(upper_bound=0)),
            cut_off=pl.col("incident").eq_missing(FAILURES) & (pl.col("incident_draw") < INCIDENT_FAILURES),
            slowness=pl.col("slowness") * (1 + drift) * pl.when(slow).then(INCIDENT_SLOWNESS).otherwise(1.0),
            distance=pl.col("distance") * pl.when(slow).then(INCIDENT_SLOWNESS).otherwise(1.0),
            noise=bell(pl.col("time_draw"), 0.15).clip(0.2, 10),
            ended=(seconds - pl.col("detail_draw") * MAX_DELAY_SECONDS).cast(pl.Int64),
        )
        .with_columns(failed=pl.col("busy") | pl.col("broken") | pl.col("cut_off"))
    )


def to_results(tests: pl.DataFrame, **fields: pl.Expr) -> pl.DataFrame:
    """The results: event_time, orchestrator, region, job_type, payload (JSON as String), and POSTED_FIELDS.

    The payload has region, orchestrator and these fields.
    """
    result = pl.struct("region", "orchestrator", *(field.alias(name) for name, field in fields.items()))
    typed = {name: fields.get(field, pl.lit(None)) for name, (field, _) in POSTED_FIELDS.items()}
    typed["error_kind"] = _error_kind(typed["error_kind"])
    if "input_parameters" in fields:
        typed["service_uri"] = typed["service_uri"].str.json_path_match("$.orchestrator")
    return tests.select(
        pl.col("moment").alias("event_time"),
        "orchestrator",
        "region",
        "job_type",
        *(typed[name].cast(dtype).alias(name) for name, (_, dtype) in POSTED_FIELDS.items()),
        result.struct.json_encode().alias("payload"),
    )


def no_errors(*fields: str) -> pl.Expr:
    """An empty list of errors that have these fields and a count."""
    error = pl.struct(*(pl.lit("").alias(field) for field in fields), pl.lit(0, pl.Int64).alias("count"))
    return pl.concat_list(error).list.head(0)


def _error_kind(errors: pl.Expr) -> pl.Expr:
    """The error_kind of EVENT_SCHEMA, from the errors of a result."""
    only_busy = errors.list.eval(pl.element().struct.field("error_code").is_in((CAPPED, BUSY))).list.all()
    kind = pl.when(only_busy).then(pl.lit("busy")).otherwise(pl.lit("other"))
    return pl.when(errors.list.len() > 0).then(kind).otherwise(pl.lit("none"))
