"""LiveEvents over a lake: every window has what the database has, and a process holds only what the lake lacks."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg2
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.prune import Pruning
from leaderboard.web.rendering import run_aggregated_stats
from queries import (
    FORMULA_2,
    DecodedLake,
    EventFilter,
    Exclusion,
    Formula,
    HybridEvents,
    LakeEvents,
    LiveEvents,
    PostgresEvents,
    StoreError,
    aggregated_stats,
)
from queries.sources.text_encoding import decode_text
from tests.conftest import rows
from tests.leaderboard.lake.conftest import ADDRESS, NOON, Stores, insert_events, insert_uncommitted, no_progress
from tests.queries.conftest import to_polars
from tests.support.postgres import StoppablePostgres
from tests.support.waiting import eventually

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EVER = datetime.min.replace(tzinfo=NOON.tzinfo), datetime.max.replace(tzinfo=NOON.tzinfo)
WINDOWS = (
    EVER,
    (NOON - 3 * DAY, NOON),
    (NOON - 9.5 * DAY, NOON - 2 * DAY),
    (NOON - 5 * DAY, NOON - 5 * DAY),
    (NOON - DAY, NOON + 9 * DAY),
    (NOON, NOON - DAY),
)

Open = Callable[..., LiveEvents]


@pytest.fixture(autouse=True)
def _frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queries.sources.live.refresher.CHANGE_POLL_SECONDS", 0.02)
    monkeypatch.setattr("queries.sources.live.refresher.RELOAD_REST_FACTOR", 0)
    monkeypatch.setattr("queries.sources.live.lake_mapper.LAKE_POLL_SECONDS", 0.02)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Open]:
    """Opens and starts LiveEvents over stores, which are closed at the end."""
    opened = []

    def open_live(stores: Stores, folder: str = "decoded", **options: float) -> LiveEvents:
        source = HybridEvents(PostgresEvents(stores.url, timeout=5), LakeEvents(stores.lake, timeout=5))
        decoded = DecodedLake(tmp_path / folder, 1 << 30)
        events = LiveEvents(
            source,
            decoded,
            warm_window=timedelta(days=1),
            memory_bytes=1 << 30,
            reload_interval=options.get("reload_interval", 3600),
        )
        opened.append(events)
        events.start()
        return events

    yield open_live
    for events in opened:
        events.close()


def read(events: pl.LazyFrame) -> pl.DataFrame:
    return to_polars(events).sort("id")


def assert_whole(events: LiveEvents, stores: Stores, *windows: tuple[datetime, datetime]) -> None:
    """Each window has what the database has, and so have its sums, of which those of mapped files are kept."""
    for window in windows or WINDOWS:
        expected = stores.database_events(*window).drop("payload")
        assert_frame_equal(read(events.window(*window)), expected)
        scores = run_aggregated_stats(events.at(*window, timeout=events.timeout), EventFilter(), FORMULA_2)
        assert_frame_equal(scores, aggregated_stats(expected), abs_tol=1e-9)


def own_events(events: LiveEvents) -> tuple[int, int]:
    """How many events are in the process's own memory, and how many are mapped."""
    memory = events.memory
    return (0, 0) if memory is None else (memory.events, memory.mapped_events)


def is_mapped(events: LiveEvents, mapped: int, own: int = 0) -> bool:
    """Waits until so many events are mapped and so many are in the process's own memory."""
    return eventually(lambda: events.at(*EVER, timeout=20) and own_events(events) == (own, mapped))


def store_ten(stores: Stores) -> None:
    insert_events(stores.url, *(NOON - days * DAY for days in range(10)))


def map_ten(stores: Stores, live: Open) -> LiveEvents:
    """Opens LiveEvents over ten stored events, all of which are mapped."""
    store_ten(stores)
    stores.sync()
    events = live(stores)
    assert is_mapped(events, 10)
    return events


def test_process_holds_only_what_the_lake_lacks(stores: Stores, live: Open) -> None:
    events = map_ten(stores, live)
    assert_whole(events, stores)
    insert_events(stores.url, NOON, NOON - 7 * DAY, NOON + 40 * DAY)
    assert_whole(events, stores)
    assert own_events(events) == (3, 10)
    stores.sync()
    assert is_mapped(events, 13)
    assert_whole(events, stores)


def test_lake_that_comes_later_takes_over_what_was_read(stores: Stores, live: Open) -> None:
    store_ten(stores)
    events = live(stores)
    assert_whole(events, stores)
    assert own_events(events) == (10, 0)
    insert_events(stores.url, NOON - 2 * DAY)
    assert_whole(events, stores)
    stores.sync()
    assert is_mapped(events, 11)
    assert_whole(events, stores)


def test_sums_are_kept_per_file_and_leave_out_what_is_excluded(stores: Stores, live: Open) -> None:
    insert_events(stores.url, *(NOON - days * DAY for days in range(10, 90)), rate=0.5)
    insert_events(stores.url, *(NOON - days * DAY for days in range(10)), rate=1)
    stores.sync()
    events = live(stores)
    assert is_mapped(events, 90)
    excluded = Exclusion("FRA", "transcoding", NOON - 9 * DAY, NOON + DAY, "the tester's disk was full")

    def success_rate(*exclusions: Exclusion, formula: Formula = FORMULA_2) -> float:
        window = events.at(*EVER, timeout=5).leave_out(exclusions, *EVER)
        rate: float = run_aggregated_stats(window, EventFilter(), formula)["success_rate"].item()
        return rate

    assert success_rate() == pytest.approx(50 / 90)
    insert_events(stores.url, *[NOON - 5 * DAY] * 10, rate=1)
    assert success_rate() == 0.6
    assert success_rate(excluded) == 0.5
    assert success_rate() == 0.6
    assert success_rate(formula=replace(FORMULA_2, name="half", half_life=DAY)) > 0.9


def test_first_window_of_a_process_is_mapped(stores: Stores, live: Open) -> None:
    store_ten(stores)
    stores.sync()
    insert_events(stores.url, NOON)
    assert is_mapped(live(stores), 10, own=1)
    events = live(stores)
    assert_whole(events, stores, EVER)
    assert own_events(events) == (1, 10)


def test_version_does_not_depend_on_what_is_mapped(stores: Stores, live: Open) -> None:
    store_ten(stores)
    unmapped = live(stores)
    assert_whole(unmapped, stores, EVER)
    found = {}
    for window in WINDOWS:
        found[window] = unmapped.at(*window, timeout=20).version
        assert found[window] is not None
    stores.sync()
    mapped = live(stores, "other")
    assert is_mapped(mapped, 10)
    # not all events can be counted before the lake is decoded
    assert eventually(lambda: {window: mapped.at(*window, timeout=20).version for window in WINDOWS} == found)
    assert is_mapped(unmapped, 10)
    assert eventually(lambda: {window: unmapped.at(*window, timeout=20).version for window in WINDOWS} == found)


CHANGES = {
    "an event deleted": "DELETE FROM events WHERE id = 3",
    "a payload changed": "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 4",
    "times changed": "UPDATE events SET event_time = event_time - interval '36 hours' WHERE id % 2 = 0",
    "a new event changed": "UPDATE events SET payload = '{\"success_rate\": 0.25}' WHERE id = 11",
    "new and old events deleted": "DELETE FROM events WHERE id IN (2, 11, 12)",
    "a region renamed": "UPDATE regions SET name = 'XYZ' WHERE name = 'FRA'",
    "an event without a region": "UPDATE events SET region_id = NULL WHERE id = 2",
    "emptied": "TRUNCATE events",
    "emptied, and ids start at 1 again": "TRUNCATE events RESTART IDENTITY",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_change_is_seen_before_and_after_the_lake_has_it(stores: Stores, live: Open, change: str) -> None:
    events = map_ten(stores, live)
    insert_events(stores.url, NOON, NOON - 4 * DAY)
    assert_whole(events, stores)
    version = events.at(*EVER, timeout=20).version
    rows(stores.url, change)
    assert eventually(lambda: read(events.window(*EVER)).equals(stores.database_events().drop("payload")))
    assert eventually(lambda: events.at(*EVER, timeout=20).version not in (None, version))
    assert_whole(events, stores)
    rows(stores.url, f"INSERT INTO events SELECT 99, '{NOON - DAY}', '{ADDRESS}', min(id), '{{}}' FROM regions")
    assert_whole(events, stores)
    stores.sync()
    assert is_mapped(events, stores.database_events().height)
    assert_whole(events, stores)


def test_only_the_changed_day_is_in_own_memory(stores: Stores, live: Open) -> None:
    events = map_ten(stores, live)
    rows(stores.url, "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 4")
    # a day that is read while the change is still being noticed is read again
    assert eventually(
        lambda: 0.5 in read(events.window(*EVER))["success_rate"].to_list() and own_events(events) == (1, 10)
    )


def test_change_that_the_database_does_not_tell_of_survives_newer_lakes(stores: Stores, live: Open) -> None:
    insert_events(stores.url, datetime.now(NOON.tzinfo) - HOUR, NOON)
    stores.sync()
    events = live(stores, reload_interval=0.1)
    assert is_mapped(events, 2)
    with closing(psycopg2.connect(stores.url)) as connection, connection, connection.cursor() as administrator:
        administrator.execute("SET LOCAL track_counts = off; SET LOCAL session_replication_role = replica")
        administrator.execute("ALTER TABLE events DISABLE TRIGGER note_event_change")
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        administrator.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER note_event_change")
    assert eventually(lambda: read(events.window(*EVER))["success_rate"].to_list() == [0.5, 1])
    insert_events(stores.url, NOON)
    stores.sync()
    assert eventually(lambda: own_events(events)[1] == 3)
    assert read(events.window(*EVER))["success_rate"].to_list() == [0.5, 1, 1]


def test_pruned_events_stay_in_windows(stores: Stores, live: Open) -> None:
    insert_events(stores.url, *(NOON - days * DAY for days in reversed(range(10))))
    stores.sync()
    events = live(stores)
    assert is_mapped(events, 10)
    whole = {window: read(events.window(*window)) for window in WINDOWS}
    before = NOON.replace(hour=0) - 3 * DAY
    with closing(PostgresEvents(stores.url)) as postgres:
        pruning = Pruning(stores.url, postgres, stores.snapshot(), before, 20)
        assert pruning.prepare(no_progress) == 6
        assert sum(pruning.delete_batches()) == 6
    for _ in range(3):
        for window, expected in whole.items():
            assert_frame_equal(read(events.window(*window)), expected)
        stores.sync()
    assert is_mapped(events, 10)
    # a process that starts now has no other source for them
    late = live(stores, "other")
    for window, expected in whole.items():
        assert_frame_equal(read(late.window(*window)), expected)


def test_slow_writer_delays_no_window(
    stores: Stores, live: Open, writer: psycopg2.extensions.cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboard.lake.settle.MAX_SETTLE_SECONDS", 0.1)
    events = map_ten(stores, live)
    insert_uncommitted(writer, NOON - 2 * DAY)
    insert_events(stores.url, NOON, NOON - 8 * DAY)
    assert_whole(events, stores)
    writer.connection.commit()
    assert_whole(events, stores)
    stores.sync()
    assert is_mapped(events, 13)
    assert_whole(events, stores)


def test_lake_that_lags_far_behind_is_the_base_once_it_has_caught_up(
    stores: Stores, live: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("queries.sources.live.new_events.MAX_LAG_EVENTS", 5)
    events = map_ten(stores, live)
    monkeypatch.setattr("queries.sources.live.new_events.EVENT_BYTES", 1 << 28)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            insert_events(stores.url, *[NOON - 6 * DAY] * 4)
            assert_whole(events, stores, EVER, WINDOWS[1])
    assert "the lake lacks 12 events" in caplog.text
    assert own_events(events)[1] == 0
    late = live(stores, "other")
    assert_whole(late, stores)
    assert own_events(late)[1] == 0
    stores.sync()
    for each in (events, late):
        assert is_mapped(each, 22)
        assert_whole(each, stores)


def test_two_machines_with_lakes_of_their_own_agree(
    database: str, open_stores: Callable[..., Stores], live: Open, tmp_path: Path
) -> None:
    one, other = open_stores(database, tmp_path / "one"), open_stores(database, tmp_path / "other")
    store_ten(one)
    one.sync()
    insert_events(database, NOON, NOON - 5 * DAY)
    other.sync()
    both = live(one, "decoded-one"), live(other, "decoded-other")
    assert is_mapped(both[0], 10, own=2)
    assert is_mapped(both[1], 12)
    for change in ("DELETE FROM events WHERE id = 5", "UPDATE events SET payload = '{}' WHERE id = 11"):
        rows(database, change)
        for events, stores in zip(both, (one, other), strict=True):
            assert eventually(
                lambda e=events, s=stores: read(e.window(*EVER)).equals(s.database_events().drop("payload"))
            )
            assert_whole(events, stores)
        assert eventually(lambda: len({events.at(*EVER, timeout=20).version for events in both}) == 1)
        one.sync()


def test_lake_of_another_database_is_not_mapped(
    database: str, events_database: str, open_stores: Callable[..., Stores], live: Open, tmp_path: Path
) -> None:
    foreign = open_stores(events_database, tmp_path / "lake")
    foreign.sync()
    stores = open_stores(database, tmp_path / "lake")
    store_ten(stores)
    events = live(stores)
    for _ in range(3):
        assert_whole(events, stores)
    assert own_events(events) == (10, 0)


def test_mapped_windows_outlive_the_database_and_the_lake(
    stoppable_postgres: StoppablePostgres, open_stores: Callable[..., Stores], live: Open, tmp_path: Path
) -> None:
    stores = open_stores(stoppable_postgres.url)
    events = map_ten(stores, live)
    insert_events(stores.url, NOON)
    expected = {window: read(events.window(*window)) for window in WINDOWS}
    version = events.at(*EVER, timeout=20).version
    stoppable_postgres.stop()
    Path(stores.lake).rename(tmp_path / "gone")
    with pytest.raises(StoreError):
        events.at(*EVER)
    for window, whole in expected.items():
        assert_frame_equal(read(decode_text(events.window_during_outage(*window).load().lazy())), whole)
    assert events.window_during_outage(*EVER).version == version
