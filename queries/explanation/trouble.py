"""What the trouble of testers cost an orchestrator."""

from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from queries.engines import NarwhalsFrame, Schema, to_polars
from queries.explanation.costs import score_weight
from queries.filters import EventFilter
from queries.scoring.formula import Formula
from queries.scoring.grouping import score_groups

SILENCE = "silence"
_SCHEMA: Schema = {
    "begin": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "region": pl.String,
    "kind": pl.String,
    "events": pl.Int64,
    "failed": pl.Int64,
    "score_without": pl.Float64,
    "cost": pl.Float64,
}


def own_trouble(
    incidents: pl.DataFrame | None,
    jobs: NarwhalsFrame,
    network: NarwhalsFrame,
    event_filter: EventFilter,
    formula: Formula,
) -> pl.DataFrame:
    """One row per incident with results of the filter's orchestrator, the one that cost most first.

    ``incidents`` has rows of ``queries.incidents``; ``jobs`` are the events that
    are scored, and ``network`` those that medians are taken of. Silences, in
    which there are no results, come last. Columns: begin, end, region, kind,
    events and failed (the orchestrator's own), score_without (its score
    without these results; null if none is left), cost (how much more that is).
    """
    if incidents is None:
        return pl.DataFrame(schema=_SCHEMA)
    rows = incidents.filter(pl.col("job_type") == event_filter.job_type)
    if event_filter.region is not None:
        rows = rows.filter(pl.col("region") == event_filter.region)
    silences = rows.filter(pl.col("kind") == SILENCE)
    spans = rows.filter(pl.col("kind") != SILENCE).to_dicts()
    found = _costs(spans, jobs, network, event_filter, formula) if spans else []
    table = pl.DataFrame(found, schema=_SCHEMA).sort("cost", "begin", descending=[True, False], nulls_last=True)
    silent = silences.select("begin", "end", "region", "kind")
    return pl.concat((table, silent), how="diagonal") if silent.height else table


def _costs(
    spans: list[dict[str, Any]],
    jobs: NarwhalsFrame,
    network: NarwhalsFrame,
    event_filter: EventFilter,
    formula: Formula,
) -> list[dict[str, Any]]:
    own = jobs.filter(nw.col("orchestrator") == event_filter.orchestrator)
    # a copy of the events with all of them, and one for each incident, without those in it
    copies = [own.with_columns(orchestrator=nw.lit("all"))]
    copies += [own.filter(~_is_in(span)).with_columns(orchestrator=nw.lit(str(i))) for i, span in enumerate(spans)]
    groups = score_groups(nw.concat(copies), network, event_filter.job_type, formula, ("orchestrator", "region"))
    rows = to_polars(groups.select("orchestrator", "region", "events", "succeeded", "score"))
    weighted = rows.filter(pl.col("score").is_not_null()).select("orchestrator", pl.col("score") * score_weight())
    scores = dict(weighted.group_by("orchestrator").agg(pl.col("score").sum()).iter_rows())
    totals = rows.group_by("orchestrator").agg(pl.col("events", "succeeded").sum())
    counts = {name: (events, succeeded) for name, events, succeeded in totals.iter_rows()}
    (events, succeeded), score = counts.get("all", (0, 0)), scores.get("all")
    found = []
    for number, span in enumerate(spans):
        other_events, other_succeeded = counts.get(str(number), (0, 0))
        in_span, without = events - other_events, scores.get(str(number))
        row = {name: span[name] for name in ("begin", "end", "region", "kind")}
        row |= {"events": in_span, "failed": in_span - (succeeded - other_succeeded), "score_without": without}
        found.append(row | {"cost": None if without is None or score is None else without - score})
    return [row for row in found if row["events"]]


def _is_in(span: dict[str, Any]) -> nw.Expr:
    """Whether an exclusion of this incident would cover an event."""
    time = nw.col("event_time")
    is_in: nw.Expr = (nw.col("region") == span["region"]) & (time >= span["begin"]) & (time < span["end"])

    return is_in
