"""The results of queries as the documents of the JSON API, which the command line prints as well."""

from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import Any

import polars as pl
from msgspec import Raw, Struct

from leaderboard.exclusions.exclusion_table import StoredExclusion
from queries import AI, FORMULA_SYMBOLS, FORMULAS, EventFilter, Explanation, Formula


class AiScores(Struct, gc=False):
    """The scores of an orchestrator in a region. There are thousands in a document, so they are no dicts."""

    success_rate: float
    round_trip_score: float
    score: float


class TranscodingScores(AiScores, gc=False):
    """The same with round_trip_score and score under their documented names as well."""

    latency_score: float
    total_score: float


def serialize_scores(frame: pl.DataFrame, job_type: str) -> dict[str, dict[str, AiScores]]:
    """The rows of aggregated_stats as ``{orchestrator: {region: scores}}``, for msgspec to encode."""
    document: dict[str, dict[str, AiScores]] = {}
    # iterating over columns is much faster than over rows
    columns = (column.to_list() for column in frame)
    for orchestrator, region, success_rate, round_trip_score, score in zip(*columns, strict=True):
        if job_type == AI:
            scores = AiScores(success_rate, round_trip_score, score)
        else:
            scores = TranscodingScores(success_rate, round_trip_score, score, round_trip_score, score)
        document.setdefault(orchestrator, {})[region] = scores
    return document


def serialize_top_score(frame: pl.DataFrame) -> dict[str, Any]:
    """The row of top_ai_score, or an empty document if the frame is empty."""
    for orchestrator, region, pipeline, model, score in frame.iter_rows():
        return {
            "region": region,
            "orchestrator": orchestrator,
            "value": score,
            "model": model,
            "pipeline": pipeline,
        }
    return {}


def serialize_pipelines(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The rows of pipelines as ``{"pipelines": [{"id", "models", "regions"}, …]}`` with all three lists sorted."""
    return {
        "pipelines": [
            {"id": pipeline, "models": _sort_unique(rows["model"]), "regions": _sort_unique(rows["region"])}
            for (pipeline,), rows in frame.group_by("pipeline", maintain_order=True)
        ]
    }


def serialize_orchestrator(
    orchestrator: str, jobs: pl.DataFrame, classes: pl.DataFrame, nodes: pl.DataFrame
) -> dict[str, Any]:
    """The document of one orchestrator.

    ``jobs`` has the rows of orchestrator_jobs, with a column ``errors`` of JSON
    text; ``classes`` those of orchestrator_error_classes; ``nodes`` those of
    service_uris.
    """
    models = jobs.drop_nulls("pipeline").group_by("pipeline").agg(pl.col("model").unique().sort()).sort("pipeline")
    rows = _plain_rows(jobs.drop("orchestrator"))
    return {
        "orchestrator": orchestrator,
        "job_types": jobs["job_type"].unique().sort().to_list(),
        "regions": jobs["region"].unique().sort().to_list(),
        "pipelines": [{"id": pipeline, "models": names} for pipeline, names in models.iter_rows()],
        "jobs": [row | {"errors": Raw(row["errors"].encode())} for row in rows],
        "error_classes": _plain_rows(classes),
        "service_uris": _plain_rows(nodes.drop("orchestrator")),
    }


def serialize_explanation(explanation: Explanation) -> dict[str, Any]:
    """The document of an explanation: its fields that are not None, and its tables as lists of rows."""
    fields = {field.name: getattr(explanation, field.name) for field in dataclass_fields(explanation)}
    return {
        name: _plain_rows(value) if isinstance(value, pl.DataFrame) else value
        for name, value in fields.items()
        if value is not None
    }


def serialize_gateway_preview(
    frame: pl.DataFrame, listed: pl.DataFrame, event_filter: EventFilter, min_score: float
) -> dict[str, Any]:
    """The ``listed`` rows of gateway_preview, what they are about, and how many of all rows pass."""
    question = {name: getattr(event_filter, name) for name in ("region", "job_type", "pipeline", "model")}
    counts = {name: int(frame[name].sum()) for name in ("passes", "passes_week", "lacks_tests")}
    return {
        **{name: value for name, value in question.items() if value is not None},
        "min_score": min_score,
        # where nobody passes, a gateway uses all
        "filter_applies": min_score > 0 and counts["passes"] > 0,
        "counts": counts,
        "orchestrators": _plain_rows(listed),
    }


def serialize_exclusions(exclusions: Iterable[StoredExclusion]) -> dict[str, Any]:
    """Exclusions as ``{"exclusions": [{"id", …}, …]}``. Times are unix seconds, and null fields are omitted."""
    return {"exclusions": [_serialize_exclusion(stored) for stored in exclusions]}


def _serialize_exclusion(stored: StoredExclusion) -> dict[str, Any]:
    history = {name: getattr(stored, name) for name in ("added_at", "added_by", "removed_at", "removed_by")}
    fields = {"id": stored.id} | asdict(stored.exclusion) | history
    return {
        name: int(value.timestamp()) if isinstance(value, datetime) else value
        for name, value in fields.items()
        if value is not None
    }


def serialize_formulas(default: Formula) -> dict[str, Any]:
    """The released formulas as ``{"default", "symbols", "formulas": [{"number", "scores", "rules", "values"}, …]}``."""
    formulas = [
        {"number": number, **formula.describe(), "values": formula.as_dict()} for number, formula in FORMULAS.items()
    ]
    return {"default": int(default.name), "symbols": FORMULA_SYMBOLS, "formulas": formulas}


def serialize_rows(frame: pl.DataFrame) -> list[dict[str, Any]] | Raw:
    """The rows as JSON objects. Times are whole unix seconds, and null fields are omitted."""
    plain = _plain_columns(frame)
    if not plain.is_empty() and not any(column.null_count() for column in plain):
        # Polars writes the thousands of rows of a history three times as fast
        return Raw(plain.write_json().encode())
    return _plain_rows(plain)


def _plain_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    rows = _plain_columns(frame).iter_rows(named=True)
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _plain_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that are not null in every row, with times as unix seconds."""
    columns = [column.name for column in frame if column.null_count() < frame.height]
    return frame.select(columns).with_columns(pl.selectors.datetime(time_zone="*").dt.epoch("s"))


def _sort_unique(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value is not None})
