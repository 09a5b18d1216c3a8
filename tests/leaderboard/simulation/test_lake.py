"""A simulated lake is what a sync makes of the same results."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.errors import LakeError
from leaderboard.lake.sync import sync
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.simulation.generator import Simulation
from leaderboard.simulation.lake import write_lake
from queries import LakeEvents, LakeSnapshot, PostgresEvents
from queries.times import MAX_TIME, MIN_TIME
from tests.leaderboard.simulation.conftest import SINCE, UNTIL

SIMULATION = Simulation(4000, SINCE - timedelta(days=10), UNTIL, ai_share=0.6)


def read(snapshot: LakeSnapshot) -> pl.DataFrame:
    """The rows, with the fields of each payload in order, because PostgreSQL changes it."""
    rows = snapshot.window(MIN_TIME, MAX_TIME, payload=True).collect().sort("id")
    payloads = [json.dumps(json.loads(payload), sort_keys=True) for payload in rows["payload"]]
    return rows.with_columns(payload=pl.Series(payloads))


@pytest.mark.slow
def test_simulated_lake_equals_a_synced_one(database: str, tmp_path: Path) -> None:
    store = Database(database, 60)
    for frame in SIMULATION.frames():
        writer.copy(store, RegionRegistry(store, 0), frame)
    store.close()
    postgres = PostgresEvents(database)
    sync(postgres, str(tmp_path / "synced"), lambda *_: None)
    postgres.close()
    write_lake(SIMULATION, str(tmp_path / "simulated"), lambda *_: None)
    synced, simulated = (LakeEvents(str(tmp_path / name)).require_snapshot() for name in ("synced", "simulated"))
    assert_frame_equal(read(simulated), read(synced), check_exact=True)
    assert (simulated.watermark, simulated.as_of, simulated.older_files) == (SIMULATION.events, UNTIL, 0)
    assert simulated.database not in (synced.database, -1)


def test_results_of_several_files_are_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaderboard.simulation.generator.BATCH_ROWS", 50)
    shown: list[tuple[str, int, int]] = []
    write_lake(Simulation(330, UNTIL - timedelta(days=1), UNTIL), str(tmp_path), lambda *step: shown.append(step))
    snapshot = LakeEvents(str(tmp_path)).require_snapshot()
    assert snapshot.files["events"].to_list() == [100, 100, 100, 30]
    assert read(snapshot)["id"].to_list() == list(range(1, 331))
    assert shown == [("writing results", written, 330) for written in (0, 100, 200, 300)]


def test_lake_that_exists_is_refused(tmp_path: Path) -> None:
    simulation = Simulation(10, SINCE, UNTIL)
    write_lake(simulation, str(tmp_path), lambda *_: None)
    with pytest.raises(LakeError, match="there is a lake in"):
        write_lake(simulation, str(tmp_path), lambda *_: None)
    assert LakeEvents(str(tmp_path)).require_snapshot().files.height == 1
