"""The endpoints that return tables, and readers of their formats."""

import io
from collections.abc import Callable

import polars as pl

from tests.support.recorded import ADDRESS, AI_JOB, ALL

TABLES = {
    "aggregated_stats": f"/api/aggregated_stats?{ALL}",
    "aggregated_stats, AI": f"/api/aggregated_stats?{ALL}&{AI_JOB}",
    "raw_stats": f"/api/raw_stats?{ALL}&orchestrator={ADDRESS}",
    "raw_stats, AI": f"/api/raw_stats?{ALL}&orchestrator={ADDRESS}&job_type=ai",
    "score_history": f"/api/score_history?{ALL}&orchestrator={ADDRESS}",
    "score_history, AI": f"/api/score_history?{ALL}&{AI_JOB}",
    "leaderboard": f"/api/leaderboard?{ALL}",
    "orchestrator": f"/api/orchestrators/{ADDRESS}?{ALL}",
}
MEDIA_TYPES = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "ndjson": "application/x-ndjson",
}
READERS: dict[str, Callable[[bytes], pl.DataFrame]] = {
    "csv": lambda body: pl.read_csv(io.BytesIO(body), infer_schema_length=None, try_parse_dates=True),
    "parquet": lambda body: pl.read_parquet(io.BytesIO(body)),
    "arrow": lambda body: pl.read_ipc(io.BytesIO(body)),
    "ndjson": lambda body: pl.read_ndjson(io.BytesIO(body), infer_schema_length=None),
}
