"""Query functions return the same numbers on Spark as on Polars, over the files of a real lake. So do exports."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from polars.testing import assert_frame_equal

from leaderboard.cli import main
from leaderboard.lake.sync import sync
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.simulation.generator import Simulation
from queries import (
    AI,
    FORMULA_1,
    FORMULA_2,
    EventFilter,
    LakeEvents,
    PostgresEvents,
    aggregated_stats,
    collect,
    discovery,
    gateway_preview,
    incidents,
    orchestrator_jobs,
    pipelines,
    ranking,
    score_history,
    service_uris,
    top_ai_score,
)
from queries.sources.lake_snapshot import LakeSnapshot
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import clone, rows
from tests.queries.incidents.made_network import Fault, make_network

spark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed; the extra spark brings it")
pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java, which Spark runs on"),
    # pyspark warns, and leaves resources open until the process ends
    pytest.mark.filterwarnings("ignore"),
]

UNTIL = datetime(2026, 10, 1, tzinfo=UTC)
AI_JOB = {"job_type": AI, "pipeline": "Text to image", "model": "ByteDance/SDXL-Lightning"}
LIVE = {"job_type": AI, "pipeline": "Live video to_video"}
ORCHESTRATOR = "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7"
HALF_LIFE = replace(FORMULA_2, name="half-life", half_life=timedelta(days=3), ignores_busy=True)
CASES = {
    "aggregated_stats, live, one region": (aggregated_stats, EventFilter(**LIVE, region="FRA")),
    "aggregated_stats, formula 1": (partial(aggregated_stats, formula=FORMULA_1), EventFilter(**AI_JOB, region="LAX")),
    "pipelines": (pipelines, EventFilter(job_type=AI)),
    "score_history, AI": (score_history, EventFilter(job_type=AI)),
    "ranking, AI": (ranking, EventFilter(job_type=AI)),
    "ranking, transcoding, half-life": (partial(ranking, formula=HALF_LIFE), EventFilter()),
    "orchestrator_jobs": (orchestrator_jobs, EventFilter(orchestrator=ORCHESTRATOR)),
    "service_uris": (service_uris, EventFilter()),
    "discovery": (discovery, EventFilter(job_type=AI)),
    "gateway_preview": (
        partial(gateway_preview, since=UNTIL - timedelta(days=1), min_score=0.7),
        EventFilter(region="FRA"),
    ),
    "top_ai_score": (top_ai_score, EventFilter(orchestrator=ORCHESTRATOR)),
}


@pytest.fixture(scope="module")
def places(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A database with a simulated month, and its lake."""
    database = clone(server, template, "simulated_month")
    store = Database(database, 60)
    for frame in Simulation(6000, UNTIL - timedelta(days=30), UNTIL, orchestrators=15, ai_share=0.7).frames():
        writer.copy(store, RegionRegistry(store, 0), frame)
    store.close()
    postgres, url = PostgresEvents(database), str(tmp_path_factory.mktemp("lake"))
    sync(postgres, url, lambda *_: None)
    postgres.close()
    return database, url


@pytest.fixture(scope="module")
def lake(places: tuple[str, str]) -> LakeSnapshot:
    return LakeEvents(places[1]).require_snapshot()


@pytest.fixture(scope="module")
def spark_events(lake: LakeSnapshot) -> Iterator[Any]:
    """The lake's files in Spark."""
    session = (
        spark_sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        # to compile a query takes far longer than to answer it over so few events
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
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


def test_incidents_agree_with_polars(spark_events: Any, tmp_path: Path) -> None:
    faults = [Fault("failures", 50, 60), Fault("slowness", 90, 100, ("NYC",)), Fault("silence", 110, 130, ("SIN",))]
    events = make_network(*faults)
    events.write_parquet(tmp_path / "events.parquet")
    found = incidents(spark_events.sparkSession.read.parquet(str(tmp_path / "events.parquet")))
    assert found["kind"].to_list() == [fault.kind for fault in faults]
    assert_frame_equal(found, incidents(events), rel_tol=1e-9, abs_tol=1e-9)


def export(places: tuple[str, str], *arguments: str) -> Result:
    """Runs ``leaderboard export scores`` in this process, which has a session of Spark already."""
    variables = {"POSTGRES": places[0], "LAKE_URL": places[1], "LOG_LEVEL": "ERROR"}
    return CliRunner().invoke(main, ("export", "scores", *arguments), env=variables)


@pytest.mark.parametrize(
    "options",
    [
        ("--by", "day", "--since", "2026-09-05", "--until", "2026-09-08", "--to", "{folder}/{{date}}.parquet"),
        ("--by", "day", "--since", "2026-09-05", "--until", "2026-09-08", "--to", "{folder}/days.parquet"),
        ("--since", "2026-09-03T12:00:00Z", "--until", "2026-09-20T00:00:00Z", "--to", "{folder}/all.parquet"),
        ("--day", "2025-01-01", "--formula", "1", "--to", "{folder}/none.parquet"),
    ],
    ids=["a file per day", "days in one file", "the whole time", "no results"],
)
def test_export_by_spark_writes_the_same_files(
    places: tuple[str, str], spark_events: Any, tmp_path: Path, options: tuple[str, ...]
) -> None:
    rows(
        places[0],
        "INSERT INTO exclusions (region, since, until, reason, added_by) "
        "VALUES ('FRA', '2026-09-05', '2026-09-06 12:00Z', 'the disk was full', 'me')",
    )
    for engine in ("polars", "spark"):
        folder = tmp_path / engine
        folder.mkdir()
        result = export(places, *(option.format(folder=folder) for option in options), "--engine", engine)
        assert result.exit_code == 0, result.output
    rows(places[0], "DELETE FROM exclusions")
    written = sorted(path.name for path in (tmp_path / "polars").iterdir())
    assert sorted(path.name for path in (tmp_path / "spark").iterdir()) == written
    for name in written:
        expected, found = (pl.read_parquet(tmp_path / engine / name) for engine in ("polars", "spark"))
        assert_frame_equal(found, expected, rel_tol=1e-9, abs_tol=1e-9)


def test_export_by_spark_refuses_a_lake_that_differs_from_the_database(
    server: str, template: str, places: tuple[str, str], tmp_path: Path
) -> None:
    other = clone(server, template, "spark_other")
    options = ("--day", "2026-09-05", "--to", str(tmp_path / "x.csv"), "--engine", "spark")
    refused = export((other, places[1]), *options)
    assert (refused.exit_code, "has no lake of this database" in refused.stderr) == (1, True)
    assert not (tmp_path / "x.csv").exists()
