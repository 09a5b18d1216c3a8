"""Scores of orchestrators over windows of events.

A *source* reads events: ``source.window(since, until)`` returns a frame with the
columns of ``EVENT_SCHEMA``. A *query function* is a pure function
``(events, event_filter) -> frame`` that runs on Polars (eager or lazy), DuckDB and
Spark alike. Neither knows the web service or the environment.

>>> from queries import aggregated_stats, sample_data
>>> aggregated_stats(sample_data.events()).head(1)
shape: (1, 5)
┌──────────────┬────────┬──────────────┬──────────────────┬──────────┐
│ orchestrator ┆ region ┆ success_rate ┆ round_trip_score ┆ score    │
│ ---          ┆ ---    ┆ ---          ┆ ---              ┆ ---      │
│ str          ┆ str    ┆ f64          ┆ f64              ┆ f64      │
╞══════════════╪════════╪══════════════╪══════════════════╪══════════╡
│ 0xaa         ┆ FRA    ┆ 0.75         ┆ 0.959238         ┆ 0.719428 │
└──────────────┴────────┴──────────────┴──────────────────┴──────────┘

``queries.charts`` draws what the query functions return. It is the only part that
needs the extra ``notebooks``.
"""

from typing import TYPE_CHECKING

from queries._lazy import attach

if TYPE_CHECKING:
    from queries.aggregated_stats import aggregated_stats as aggregated_stats
    from queries.aggregated_stats import has_sums as has_sums
    from queries.aggregated_stats import stats_of_sums as stats_of_sums
    from queries.aggregated_stats import transcoding_sums as transcoding_sums
    from queries.error_texts.classes import ERROR_CLASSES as ERROR_CLASSES
    from queries.error_texts.classes import ErrorClass as ErrorClass
    from queries.error_texts.classes import classify_errors as classify_errors
    from queries.error_texts.normalization import normalize_error as normalize_error
    from queries.error_texts.splitting import split_errors as split_errors
    from queries.errors import SchemaError as SchemaError
    from queries.errors import StoreError as StoreError
    from queries.errors import StoreTimeout as StoreTimeout
    from queries.errors import StoreUnavailable as StoreUnavailable
    from queries.explanation import REASONS as REASONS
    from queries.explanation import Explanation as Explanation
    from queries.explanation import explanation as explanation
    from queries.filters import AI as AI
    from queries.filters import TRANSCODING as TRANSCODING
    from queries.filters import EventFilter as EventFilter
    from queries.filters import slug_of as slug_of
    from queries.incidents import INCIDENT_EVENT_COLUMNS as INCIDENT_EVENT_COLUMNS
    from queries.incidents import INCIDENT_KINDS as INCIDENT_KINDS
    from queries.incidents import incidents as incidents
    from queries.network.job_measures import job_measures as job_measures
    from queries.network.pipelines import pipelines as pipelines
    from queries.network.stats import NETWORK_GROUP_COLUMNS as NETWORK_GROUP_COLUMNS
    from queries.network.stats import network_stats as network_stats
    from queries.network.testers import posting_stats as posting_stats
    from queries.nodes.discovery import discovery as discovery
    from queries.nodes.gateway_preview import gateway_preview as gateway_preview
    from queries.nodes.service_uris import service_uris as service_uris
    from queries.orchestrator_errors import daily_error_classes as daily_error_classes
    from queries.orchestrator_errors import orchestrator_error_classes as orchestrator_error_classes
    from queries.orchestrator_errors import orchestrator_error_tables as orchestrator_error_tables
    from queries.orchestrator_errors import orchestrator_errors as orchestrator_errors
    from queries.orchestrator_jobs import JOB_COLUMNS as JOB_COLUMNS
    from queries.orchestrator_jobs import orchestrator_jobs as orchestrator_jobs
    from queries.orchestrator_jobs import transcoding_ranks as transcoding_ranks
    from queries.ranking import RANKING_COLUMNS as RANKING_COLUMNS
    from queries.ranking import SUGGESTED_MIN_EVENTS as SUGGESTED_MIN_EVENTS
    from queries.ranking import ranking as ranking
    from queries.raw_stats import raw_stats as raw_stats
    from queries.schema import ADDRESS_PATTERN as ADDRESS_PATTERN
    from queries.schema import EVENT_SCHEMA as EVENT_SCHEMA
    from queries.schema import MAX_MEASURE as MAX_MEASURE
    from queries.schema import MAX_NUMBER_DIGITS as MAX_NUMBER_DIGITS
    from queries.schema import conform as conform
    from queries.score_history import GROUP_COLUMNS as GROUP_COLUMNS
    from queries.score_history import SCORE_INTERVALS as SCORE_INTERVALS
    from queries.score_history import SUM_COLUMNS as SUM_COLUMNS
    from queries.score_history import score_history as score_history
    from queries.scoring.exclusions import Exclusion as Exclusion
    from queries.scoring.exclusions import leave_out as leave_out
    from queries.scoring.formula import FORMULA_1 as FORMULA_1
    from queries.scoring.formula import FORMULA_2 as FORMULA_2
    from queries.scoring.formula import FORMULA_SYMBOLS as FORMULA_SYMBOLS
    from queries.scoring.formula import FORMULAS as FORMULAS
    from queries.scoring.formula import Formula as Formula
    from queries.scoring.grouping import SCORE_DECIMALS as SCORE_DECIMALS
    from queries.scoring.scored_events import MEASURES as MEASURES
    from queries.sources.database_state import DatabaseState as DatabaseState
    from queries.sources.decoded import DecodedLake as DecodedLake
    from queries.sources.files import FileEvents as FileEvents
    from queries.sources.hybrid import HybridEvents as HybridEvents
    from queries.sources.lake import LakeEvents as LakeEvents
    from queries.sources.lake_dataset import LAKE_SCHEMA as LAKE_SCHEMA
    from queries.sources.lake_snapshot import AS_OF_KEY as AS_OF_KEY
    from queries.sources.lake_snapshot import CHANGES_KEY as CHANGES_KEY
    from queries.sources.lake_snapshot import COMPLETE_SINCE_KEY as COMPLETE_SINCE_KEY
    from queries.sources.lake_snapshot import DATABASE_KEY as DATABASE_KEY
    from queries.sources.lake_snapshot import PRUNED_ID_KEY as PRUNED_ID_KEY
    from queries.sources.lake_snapshot import RESULT_COLUMNS as RESULT_COLUMNS
    from queries.sources.lake_snapshot import TARGET_KEY as TARGET_KEY
    from queries.sources.lake_snapshot import WATERMARK_KEY as WATERMARK_KEY
    from queries.sources.lake_snapshot import LakeSnapshot as LakeSnapshot
    from queries.sources.lake_snapshot import hash64 as hash64
    from queries.sources.lake_snapshot import lake_data_files as lake_data_files
    from queries.sources.lake_snapshot import read_lake_snapshot as read_lake_snapshot
    from queries.sources.lake_snapshot import table_root as table_root
    from queries.sources.live.event_window import EventPart as EventPart
    from queries.sources.live.event_window import EventWindow as EventWindow
    from queries.sources.live.events import LiveEvents as LiveEvents
    from queries.sources.live.events import MemoryUsage as MemoryUsage
    from queries.sources.live.refresher import REFRESH_PATIENCE_SECONDS as REFRESH_PATIENCE_SECONDS
    from queries.sources.object_stores import STORE_SCHEMES as STORE_SCHEMES
    from queries.sources.object_stores import is_local_path as is_local_path
    from queries.sources.object_stores import store_options as store_options
    from queries.sources.parquet_files import collect as collect
    from queries.sources.parquet_files import scan_lake_files as scan_lake_files
    from queries.sources.posted_fields import with_posted_fields as with_posted_fields
    from queries.sources.postgres import PostgresEvents as PostgresEvents
    from queries.sources.urls import open_events as open_events
    from queries.sources.watermark import Watermark as Watermark
    from queries.sql import connect as connect
    from queries.top_ai_score import top_ai_score as top_ai_score

attach(
    __name__,
    {
        "aggregated_stats": "queries.aggregated_stats",
        "has_sums": "queries.aggregated_stats",
        "stats_of_sums": "queries.aggregated_stats",
        "transcoding_sums": "queries.aggregated_stats",
        "ErrorClass": "queries.error_texts.classes",
        "ERROR_CLASSES": "queries.error_texts.classes",
        "classify_errors": "queries.error_texts.classes",
        "normalize_error": "queries.error_texts.normalization",
        "split_errors": "queries.error_texts.splitting",
        "SchemaError": "queries.errors",
        "StoreError": "queries.errors",
        "StoreTimeout": "queries.errors",
        "StoreUnavailable": "queries.errors",
        "REASONS": "queries.explanation",
        "Explanation": "queries.explanation",
        "explanation": "queries.explanation",
        "AI": "queries.filters",
        "EventFilter": "queries.filters",
        "slug_of": "queries.filters",
        "TRANSCODING": "queries.filters",
        "INCIDENT_EVENT_COLUMNS": "queries.incidents",
        "INCIDENT_KINDS": "queries.incidents",
        "incidents": "queries.incidents",
        "daily_error_classes": "queries.orchestrator_errors",
        "orchestrator_error_classes": "queries.orchestrator_errors",
        "orchestrator_error_tables": "queries.orchestrator_errors",
        "NETWORK_GROUP_COLUMNS": "queries.network.stats",
        "network_stats": "queries.network.stats",
        "job_measures": "queries.network.job_measures",
        "posting_stats": "queries.network.testers",
        "discovery": "queries.nodes.discovery",
        "gateway_preview": "queries.nodes.gateway_preview",
        "service_uris": "queries.nodes.service_uris",
        "orchestrator_errors": "queries.orchestrator_errors",
        "JOB_COLUMNS": "queries.orchestrator_jobs",
        "orchestrator_jobs": "queries.orchestrator_jobs",
        "transcoding_ranks": "queries.orchestrator_jobs",
        "pipelines": "queries.network.pipelines",
        "RANKING_COLUMNS": "queries.ranking",
        "SUGGESTED_MIN_EVENTS": "queries.ranking",
        "SCORE_DECIMALS": "queries.scoring.grouping",
        "ranking": "queries.ranking",
        "raw_stats": "queries.raw_stats",
        "ADDRESS_PATTERN": "queries.schema",
        "EVENT_SCHEMA": "queries.schema",
        "MAX_MEASURE": "queries.schema",
        "MAX_NUMBER_DIGITS": "queries.schema",
        "conform": "queries.schema",
        "GROUP_COLUMNS": "queries.score_history",
        "SCORE_INTERVALS": "queries.score_history",
        "SUM_COLUMNS": "queries.score_history",
        "score_history": "queries.score_history",
        "Exclusion": "queries.scoring.exclusions",
        "leave_out": "queries.scoring.exclusions",
        "FORMULAS": "queries.scoring.formula",
        "FORMULA_1": "queries.scoring.formula",
        "FORMULA_SYMBOLS": "queries.scoring.formula",
        "FORMULA_2": "queries.scoring.formula",
        "Formula": "queries.scoring.formula",
        "MEASURES": "queries.scoring.scored_events",
        "DatabaseState": "queries.sources.database_state",
        "DecodedLake": "queries.sources.decoded",
        "FileEvents": "queries.sources.files",
        "HybridEvents": "queries.sources.hybrid",
        "LakeEvents": "queries.sources.lake",
        "LAKE_SCHEMA": "queries.sources.lake_dataset",
        "AS_OF_KEY": "queries.sources.lake_snapshot",
        "CHANGES_KEY": "queries.sources.lake_snapshot",
        "DATABASE_KEY": "queries.sources.lake_snapshot",
        "LakeSnapshot": "queries.sources.lake_snapshot",
        "RESULT_COLUMNS": "queries.sources.lake_snapshot",
        "COMPLETE_SINCE_KEY": "queries.sources.lake_snapshot",
        "PRUNED_ID_KEY": "queries.sources.lake_snapshot",
        "TARGET_KEY": "queries.sources.lake_snapshot",
        "WATERMARK_KEY": "queries.sources.lake_snapshot",
        "hash64": "queries.sources.lake_snapshot",
        "lake_data_files": "queries.sources.lake_snapshot",
        "read_lake_snapshot": "queries.sources.lake_snapshot",
        "table_root": "queries.sources.lake_snapshot",
        "EventPart": "queries.sources.live.event_window",
        "EventWindow": "queries.sources.live.event_window",
        "LiveEvents": "queries.sources.live.events",
        "MemoryUsage": "queries.sources.live.events",
        "REFRESH_PATIENCE_SECONDS": "queries.sources.live.refresher",
        "STORE_SCHEMES": "queries.sources.object_stores",
        "is_local_path": "queries.sources.object_stores",
        "store_options": "queries.sources.object_stores",
        "collect": "queries.sources.parquet_files",
        "scan_lake_files": "queries.sources.parquet_files",
        "with_posted_fields": "queries.sources.posted_fields",
        "PostgresEvents": "queries.sources.postgres",
        "open_events": "queries.sources.urls",
        "Watermark": "queries.sources.watermark",
        "connect": "queries.sql",
        "top_ai_score": "queries.top_ai_score",
    },
)
