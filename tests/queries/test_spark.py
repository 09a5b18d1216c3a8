"""Query functions return the same numbers on Spark as on Polars, over the files of a real lake."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.sync import sync
from queries import (
    AI,
    EventFilter,
    LakeEvents,
    PostgresEvents,
    aggregated_stats,
    collect,
    discovery,
    gateway_preview,
    orchestrator_jobs,
    pipelines,
    ranking,
    score_history,
    service_uris,
    top_ai_score,
)
from queries.sources.lake_snapshot import LakeSnapshot
from queries.times import MAX_TIME, MIN_TIME

spark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed; the extra spark brings it")
pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java, which Spark runs on"),
    # pyspark warns, and leaves resources open until the process ends
    pytest.mark.filterwarnings("ignore"),
]

AI_JOB = {"job_type": AI, "pipeline": "Text to image", "model": "ByteDance/SDXL-Lightning"}
ORCHESTRATOR = "0x023c39c200661fccd268a29a0d347301ef56e64d"
CASES = {
    "aggregated_stats, transcoding": (aggregated_stats, EventFilter()),
    "aggregated_stats, AI": (aggregated_stats, EventFilter(**AI_JOB)),
    "aggregated_stats, AI, one orchestrator": (aggregated_stats, EventFilter(**AI_JOB, orchestrator=ORCHESTRATOR)),
    "pipelines": (pipelines, EventFilter(job_type=AI)),
    "score_history, transcoding": (score_history, EventFilter()),
    "score_history, AI": (score_history, EventFilter(job_type=AI)),
    "ranking, transcoding": (ranking, EventFilter()),
    "ranking, AI": (ranking, EventFilter(job_type=AI)),
    "orchestrator_jobs": (orchestrator_jobs, EventFilter(orchestrator=ORCHESTRATOR)),
    "service_uris": (service_uris, EventFilter()),
    "discovery": (discovery, EventFilter(job_type=AI)),
    "gateway_preview": (
        partial(gateway_preview, since=datetime(2026, 10, 19, tzinfo=UTC), min_score=0.7),
        EventFilter(region="FRA"),
    ),
    "top_ai_score": (top_ai_score, EventFilter(orchestrator=ORCHESTRATOR)),
}


@pytest.fixture(scope="module")
def lake(events_database: str, tmp_path_factory: pytest.TempPathFactory) -> LakeSnapshot:
    """A lake with the events of the conformance set."""
    postgres, url = PostgresEvents(events_database), str(tmp_path_factory.mktemp("lake"))
    sync(postgres, url, lambda *_: None)
    postgres.close()
    return LakeEvents(url).require_snapshot()


@pytest.fixture(scope="module")
def spark_events(lake: LakeSnapshot) -> Iterator[Any]:
    """The lake's files in Spark."""
    session = (
        spark_sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    yield session.read.parquet(*lake.files["uri"])
    session.stop()


@pytest.mark.parametrize(("query_function", "event_filter"), CASES.values(), ids=CASES.keys())
def test_spark_agrees_with_polars(
    lake: LakeSnapshot, spark_events: Any, query_function: Any, event_filter: EventFilter
) -> None:
    expected = collect(query_function(lake.window(MIN_TIME, MAX_TIME), event_filter))
    answer = pl.DataFrame(pl.from_arrow(query_function(spark_events, event_filter).toArrow()))
    assert not answer.is_empty()
    times = pl.selectors.datetime(time_zone="*").dt.convert_time_zone("UTC")
    assert_frame_equal(answer.with_columns(times), expected, rel_tol=1e-9, abs_tol=1e-9)
