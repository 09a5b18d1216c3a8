"""The lake gets every settled event once, whatever happens meanwhile."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake import chunks, settle
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.lock import exclusive_lock
from leaderboard.lake.sync import Rewrite, sync
from leaderboard.lake.table import LakeTable
from queries import EVENT_SCHEMA, PostgresEvents, StoreUnavailable, collect, hash64, open_events
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import clone, conformance, drop, load_events, rows
from tests.leaderboard.lake.conftest import NOON, Stores, insert, no_progress, put

DAY = timedelta(days=1)
EVENTS = conformance("events")["events"]

# a fork would take half of Polars with it
processes = multiprocessing.get_context("spawn")


def test_the_lake_has_what_the_database_has(stores: Stores) -> None:
    load_events(stores.url, EVENTS)
    done = stores.sync()
    assert (done.events, done.rewritten_days, done.watermark) == (len(EVENTS), [], len(EVENTS))
    assert_frame_equal(stores.of_lake(), stores.of_database())
    assert stores.of_lake().columns == [*EVENT_SCHEMA, "payload"]


def test_an_empty_database_makes_an_empty_lake(stores: Stores) -> None:
    assert stores.sync().events == 0
    assert stores.of_lake().is_empty()
    assert stores.of_both().is_empty()


def test_a_sync_adds_what_is_new_and_the_next_one_nothing(stores: Stores) -> None:
    put(stores.url, NOON, NOON - 40 * DAY)
    assert stores.sync().events == 2
    assert stores.sync().events == 0
    # an import may be of any time
    put(stores.url, NOON - 400 * DAY, NOON, NOON + 400 * DAY)
    assert stores.sync().events == 3
    assert_frame_equal(stores.of_lake(), stores.of_database())
    assert stores.of_lake().height == 5


def test_a_window_of_the_lake_has_both_its_ends(stores: Stores) -> None:
    microsecond = timedelta(microseconds=1)
    put(stores.url, NOON - microsecond, NOON, NOON + DAY, NOON + DAY + microsecond)
    stores.sync()
    assert stores.of_lake(NOON, NOON + DAY)["id"].to_list() == [2, 3]
    assert stores.of_lake(NOON + DAY, NOON).is_empty()


def test_many_events_are_read_in_pieces(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 50)
    load_events(stores.url, EVENTS)
    told: list[tuple[str, int, int]] = []
    sync(stores.postgres, stores.lake, lambda *what: told.append(what))
    assert len(told) > 20
    assert told == sorted(told)
    assert {total for _, _, total in told} == {len(EVENTS)}
    assert stores.snapshot().files.height > 20
    assert_frame_equal(stores.of_lake(), stores.of_database())


def test_an_event_that_is_not_committed_yet_comes_with_the_next_sync(
    stores: Stores, writer: psycopg2.extensions.cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(stores.url, NOON)
    stores.sync()
    late = insert(writer)
    put(stores.url, NOON)
    monkeypatch.setattr(settle, "MAX_SETTLE_SECONDS", 0.2)
    with pytest.raises(LakeError, match="has been open"):
        stores.sync()
    assert stores.of_lake()["id"].to_list() == [1]
    assert stores.of_both()["id"].to_list() == [1, late + 1]
    writer.connection.commit()
    stores.sync()
    assert stores.of_lake()["id"].to_list() == [1, late, late + 1]


def test_a_writer_that_ends_in_time_is_waited_for(stores: Stores, writer: psycopg2.extensions.cursor) -> None:
    put(stores.url, NOON)
    insert(writer)
    ending = threading.Timer(0.3, writer.connection.commit)
    ending.start()
    assert stores.sync().events == 2
    ending.join()


def test_the_lake_tells_a_moment_before_which_all_is_there(stores: Stores) -> None:
    before = datetime.now(UTC)
    put(stores.url, NOON)
    done = stores.sync()
    assert before < done.as_of < datetime.now(UTC)
    # of microseconds since 1970
    assert stores.snapshot().as_of == done.as_of


@pytest.mark.parametrize("limit", [0, 1, 3], ids="killed once {} files were written".format)
def test_a_sync_that_was_killed_leaves_the_lake_as_it_was(stores: Stores, limit: int) -> None:
    put(stores.url, NOON)
    stores.sync()
    before = stores.of_lake()
    put(stores.url, *(NOON + days * DAY for days in range(1, 200, 31)))
    child = processes.Process(target=_killed, args=(stores.url, stores.lake, limit))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert_frame_equal(stores.of_lake(), before)
    assert stores.of_both().height == 8
    assert stores.sync().events == 7
    assert_frame_equal(stores.of_lake(), stores.of_database())
    # and what it has left goes with time
    assert LakeTable(stores.lake).vacuum(0) == limit
    assert stores.of_lake().height == 8


def _killed(url: str, lake: str, limit: int) -> None:
    from leaderboard.lake import table

    put_file, written = table.Files.put, []

    def put(files: table.Files, path: str, content: bytes) -> None:
        if len(written) == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        put_file(files, path, content)
        written.append(path)

    table.Files.put = put
    sync(PostgresEvents(url), lake, no_progress)


def test_of_syncs_at_once_each_event_is_in_the_lake_once(stores: Stores) -> None:
    load_events(stores.url, EVENTS[:1000])
    results = processes.Queue()
    together = processes.Barrier(4)
    children = [processes.Process(target=_synced, args=(stores.url, stores.lake, together, results)) for _ in range(4)]
    for child in children:
        child.start()
    outcomes = [results.get(timeout=120) for _ in children]
    for child in children:
        child.join(60)
    assert sum(events for events in outcomes if events is not None) == 1000
    assert_frame_equal(stores.of_lake(), stores.of_database())


def _synced(url: str, lake: str, together: threading.Barrier, results: multiprocessing.Queue) -> None:
    postgres = PostgresEvents(url)
    together.wait(120)
    try:
        results.put(sync(postgres, lake, no_progress).events)
    except LakeConflict:
        results.put(None)


def test_only_one_process_at_a_time_is_alone_with_the_lake_of_a_database(stores: Stores) -> None:
    with (
        exclusive_lock(stores.url, 20),
        pytest.raises(LakeConflict, match="another process"),
        exclusive_lock(stores.url, 20),
    ):
        pass
    with exclusive_lock(stores.url, 20):
        pass


def test_a_database_that_is_away_leaves_no_progress_exclusive_lock() -> None:
    with pytest.raises(StoreUnavailable), exclusive_lock("postgresql://localhost:1/none", 1):
        pass


class TestChanges:
    """What an administrator does to events that the lake has."""

    @pytest.fixture
    def synced(self, stores: Stores) -> Stores:
        put(stores.url, NOON - 2 * DAY, NOON - DAY, NOON)
        stores.sync()
        assert stores.rates() == [1, 1, 1]
        return stores

    def wait(self, stores: Stores) -> None:
        """Until the database tells that something was changed."""
        deadline = time.monotonic() + 60
        while stores.snapshot().changes == hash64(stores.postgres.state().changes):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @pytest.mark.parametrize(
        ("statement", "rates", "days"),
        [
            ("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 2", [1, 0.5, 1], 1),
            ("DELETE FROM events WHERE id = 2", [1, 1], 1),
            ("DELETE FROM events WHERE id = 3", [1, 1], 1),
            ("DELETE FROM events", [], 3),
            ("UPDATE events SET event_time = event_time + interval '1 day' WHERE id = 1", [1, 1, 1], 2),
            ("UPDATE events SET region_id = 2", [1, 1, 1], 3),
            ("TRUNCATE events", [], 3),
            ("TRUNCATE events RESTART IDENTITY", [], 3),
        ],
    )
    def test_is_in_answers_at_once_and_in_the_lake_after_a_sync(
        self, synced: Stores, statement: str, rates: list[float], days: int
    ) -> None:
        rows(synced.url, statement)
        self.wait(synced)
        assert synced.rates() == rates
        assert len(synced.sync().rewritten_days) == days
        assert_frame_equal(synced.of_lake(), synced.of_database())
        assert synced.rates() == rates

    def test_that_no_counter_tells_of_is_mended_by_a_rebuild(
        self, synced: Stores, writer: psycopg2.extensions.cursor
    ) -> None:
        writer.execute("SET track_counts = off")
        writer.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 2")
        writer.connection.commit()
        assert synced.sync().rewritten_days == []
        assert synced.of_lake()["success_rate"].to_list() == [1, 1, 1]
        assert len(synced.sync(Rewrite.ALL).rewritten_days) == 3
        assert synced.of_lake()["success_rate"].to_list() == [1, 0.5, 1]

    def test_ids_that_are_used_again_are_other_events(self, synced: Stores) -> None:
        rows(synced.url, "TRUNCATE events RESTART IDENTITY")
        put(synced.url, NOON, NOON + DAY, rate=0.5)
        self.wait(synced)
        assert synced.rates() == [0.5, 0.5]
        synced.sync()
        assert_frame_equal(synced.of_lake(), synced.of_database())


def test_a_rebuild_writes_every_day_anew_and_readers_do_not_notice(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 200)
    load_events(stores.url, EVENTS)
    stores.sync()
    expected, old = stores.of_database(), stores.snapshot()
    seen: list[bool] = []
    sync(stores.postgres, stores.lake, lambda *_: seen.append(stores.of_both().equals(expected)), Rewrite.ALL)
    assert len(seen) > 10
    assert all(seen)
    assert_frame_equal(stores.of_lake(), expected)
    assert not set(stores.snapshot().files["uri"]) & set(old.files["uri"])
    # who began to read before goes on
    assert old.window(MIN_TIME, MAX_TIME).collect().height == len(EVENTS)


def test_compacting_makes_one_file_a_month_with_the_same_events(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 200)
    load_events(stores.url, EVENTS)
    stores.sync()
    expected = stores.of_lake()
    assert stores.snapshot().files.height > 10
    months = LakeTable(stores.lake).compact()
    assert months == stores.snapshot().files.height == 2
    assert LakeTable(stores.lake).compact() == 0
    assert LakeTable(stores.lake).vacuum(0) > 10
    assert_frame_equal(stores.of_lake(), expected)
    assert_frame_equal(stores.of_both(), stores.of_database())
    # what is told of the whole goes on
    assert stores.sync().events == 0


def test_a_lake_of_another_database_is_refused_and_not_read(
    stores: Stores, open_stores: Callable[..., Stores], events_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(stores.url, NOON)
    stores.sync()
    other = open_stores(events_database, Path(stores.lake))
    for _ in range(3):
        assert other.of_both().height == len(EVENTS)
    assert caplog.text.count("belongs to another database") == 1
    with pytest.raises(LakeError, match="another database"):
        other.sync()


def test_a_restored_database_goes_on_with_the_lake(
    stores: Stores, open_stores: Callable[..., Stores], server: str
) -> None:
    put(stores.url, NOON - DAY, NOON)
    stores.sync()
    stores.close()
    restored = clone(server, stores.url.split("?")[0].rpartition("/")[2], "restored")
    try:
        put(restored, NOON + DAY)
        rows(restored, "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        other = open_stores(restored, Path(stores.lake))
        done = other.sync(adopt=True)
        assert (done.events, len(done.rewritten_days)) == (2, 1)
        assert_frame_equal(other.of_lake(), other.of_database())
        assert other.rates() == [0.5, 1, 1]
        other.close()
    finally:
        drop(server, "restored")


def test_a_sequence_that_draws_ids_ahead_is_refused(stores: Stores) -> None:
    rows(stores.url, "ALTER SEQUENCE events_id_seq CACHE 10")
    with pytest.raises(LakeError, match="CACHE 1"):
        stores.sync()


def test_a_lake_that_cannot_be_written_is_told_in_a_sentence(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stores.lake = str(tmp_path / "file" / "lake")
    with pytest.raises(LakeError, match="cannot be"):
        stores.sync()


def test_a_lake_is_a_source_of_its_own(stores: Stores) -> None:
    put(stores.url, NOON)
    with pytest.raises(StoreUnavailable, match="no lake"):
        open_events(stores.lake).window(NOON, NOON)
    stores.sync()
    events = open_events(stores.lake).window(NOON, NOON).collect()
    assert events.columns == list(EVENT_SCHEMA)
    assert events.height == 1


def test_a_file_that_is_gone_is_no_answer_and_not_part_of_one(stores: Stores) -> None:
    put(stores.url, NOON - 40 * DAY, NOON)
    stores.sync()
    Path(stores.snapshot().files["uri"][0]).unlink()
    with pytest.raises(StoreUnavailable, match="file of the lake"):
        collect(stores.events.window(MIN_TIME, MAX_TIME))
