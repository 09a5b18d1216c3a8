"""Scores of orchestrators over windows of events.

A *source* reads events: ``source.window(since, until)`` gives the one frame of
``queries.schema``. A *question* is a pure function ``(events, query) -> frame``
that runs on Polars (eager or lazy), DuckDB and Spark alike. Neither knows the web
service or the environment.

>>> from queries import aggregated_stats, example
>>> aggregated_stats(example.events()).head(1)
shape: (1, 5)
┌──────────────┬────────┬──────────────┬──────────────────┬──────────┐
│ orchestrator ┆ region ┆ success_rate ┆ round_trip_score ┆ score    │
│ ---          ┆ ---    ┆ ---          ┆ ---              ┆ ---      │
│ str          ┆ str    ┆ f64          ┆ f64              ┆ f64      │
╞══════════════╪════════╪══════════════╪══════════════════╪══════════╡
│ 0xaa         ┆ FRA    ┆ 0.75         ┆ 0.959238         ┆ 0.719428 │
└──────────────┴────────┴──────────────┴──────────────────┴──────────┘

``queries.charts`` draws what the questions answer. It needs the extra
``notebooks``, as nothing else here does.
"""

from queries import example
from queries.aggregated_stats import aggregated_stats
from queries.errors import SchemaError, StoreTimeout, StoreUnavailable
from queries.leaderboard import leaderboard
from queries.orchestrator import orchestrator_errors, orchestrator_jobs
from queries.pipelines import pipelines
from queries.query import AI, TRANSCODING, Query
from queries.raw_stats import raw_stats
from queries.schema import EVENT_SCHEMA, conform
from queries.score_history import score_history
from queries.sources.files import ExportedEvents
from queries.sources.hybrid import StoredEvents
from queries.sources.lake import LakeEvents, collect
from queries.sources.live.events import LiveEvents, Window
from queries.sources.postgres import PostgresEvents
from queries.sources.urls import open_events
from queries.sql import connect
from queries.top_ai_score import top_ai_score

__all__ = [
    "AI",
    "EVENT_SCHEMA",
    "TRANSCODING",
    "ExportedEvents",
    "LakeEvents",
    "LiveEvents",
    "PostgresEvents",
    "Query",
    "SchemaError",
    "StoreTimeout",
    "StoreUnavailable",
    "StoredEvents",
    "Window",
    "aggregated_stats",
    "collect",
    "conform",
    "connect",
    "example",
    "leaderboard",
    "open_events",
    "orchestrator_errors",
    "orchestrator_jobs",
    "pipelines",
    "raw_stats",
    "score_history",
    "top_ai_score",
]
