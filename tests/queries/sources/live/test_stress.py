"""Many writers beside many readers: no window misses, repeats or invents an event.

A writer notes the time after it commits, and a reader before it requests a
window. All processes of a machine share the clock.
"""

import importlib
import multiprocessing
import time
import traceback
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from random import Random
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import execute_values

from queries import HybridEvents, LiveEvents, PostgresEvents
from queries.sources.live.state import EVENT_BYTES
from queries.times import to_micros

SECONDS = 3.0
WRITERS = 8
DAY = timedelta(days=1)
EARLIEST, LATEST = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))  # noqa: DTZ901
INSERT = "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES %s RETURNING id, event_time"
ROW = f"(%s, '0x{'ab' * 20}', 1, '{{}}')"

# Polars does not survive a fork
processes = multiprocessing.get_context("spawn")


@dataclass
class Journal:
    """What the writers did: (time of the commit, event_time, id) of each event, and the ids that were rolled back."""

    committed: list[tuple[float, int, int]] = field(default_factory=list)
    rolled_back: list[int] = field(default_factory=list)

    @property
    def has_enough(self) -> bool:
        """Whether there is enough of both for the test to mean something."""
        return len(self.committed) > 300 and len(self.rolled_back) > 30


@dataclass(frozen=True)
class Answer:
    """When a window (µs since 1970) was requested, and the ids in it."""

    requested: float
    since: int
    until: int
    ids: array


@dataclass(frozen=True)
class Reader:
    """How one process reads."""

    name: str
    threads: int
    memory_bytes: int = 1 << 30
    reload_interval: float = 3600.0
    constants: dict[str, float] = field(default_factory=dict)


READERS = (
    Reader(
        "with little memory",
        threads=2,
        memory_bytes=EVENT_BYTES * 1000,
        reload_interval=0.2,
        constants={
            "queries.sources.live.day_reader.CHUNK_ROWS": 300,
            "queries.sources.live.refresher.CHANGE_POLL_SECONDS": 0.05,
        },
    ),
)


@pytest.mark.slow
def test_every_window_has_exactly_the_committed_events(database: str) -> None:
    journal = Journal()
    with reading(database) as answers, ThreadPoolExecutor(WRITERS) as writers:
        stop = time.monotonic() + SECONDS
        for outcome in [writers.submit(write, database, seed, stop, journal) for seed in range(WRITERS)]:
            outcome.result()
    committed, rolled_back = sorted(journal.committed), set(journal.rolled_back)
    assert journal.has_enough
    late: set[int] = set()
    for name, given in answers.items():
        assert len(given) > 20, name
        for answer in given:
            late |= check(name, answer, committed, rolled_back)
        assert given[-1].requested > committed[-1][0]
        assert sorted(given[-1].ids) == sorted(id_ for _, _, id_ in committed)
    # with fewer, a rule that expects ids in order would pass
    assert len(late) > 30


def check(name: str, answer: Answer, committed: list[tuple[float, int, int]], rolled_back: set[int]) -> set[int]:
    """The ids that are not in the answer because they were committed later, although it has a higher one."""
    ids = set(answer.ids)
    assert len(ids) == len(answer.ids), f"{name}: twice"
    assert not ids & rolled_back, f"{name}: never committed"
    inside = [(when, id_) for when, moment, id_ in committed if answer.since <= moment <= answer.until]
    before = {id_ for _, id_ in inside[: bisect_left(inside, (answer.requested, 0))]}
    later = {id_ for _, id_ in inside} - before
    assert not before - ids, f"{name}: missing"
    assert not ids - before - later, f"{name}: not of this window"
    newest = max(ids, default=0)
    return {id_ for id_ in later - ids if id_ < newest}


def write(url: str, seed: int, stop: float, journal: Journal) -> None:
    """Stores events in transactions of all kinds. Those of the first writer are open about half of the time."""
    random = Random(seed)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        while time.monotonic() < stop or not journal.has_enough:
            kept, dropped = [], []
            begun = time.monotonic()
            while not kept or (random.random() < 0.6 if seed else time.monotonic() < begun + 0.8):
                kept += insert(cursor, random)
                time.sleep(random.uniform(0, 0.008 if seed else 0.1))
                if random.random() < 0.2:
                    cursor.execute("SAVEPOINT here")
                    dropped += insert(cursor, random)
                    time.sleep(random.uniform(0, 0.004))
                    cursor.execute("ROLLBACK TO here")
            if random.random() < 0.25:
                connection.rollback()
                dropped += kept
            else:
                connection.commit()
                when = time.monotonic()
                journal.committed += [(when, moment, id_) for id_, moment in kept]
            journal.rolled_back += [id_ for id_, _ in dropped]
            time.sleep(random.uniform(0, 0.02 if seed else 1.6))


def insert(cursor: Any, random: Random) -> list[tuple[int, int]]:
    """The ids and times of new events, most of them of the present."""
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    past, future = now - random.uniform(0, 40) * DAY, now + random.uniform(0, 40) * DAY
    some_midnight = midnight - random.randint(0, 9) * DAY
    moments = random.choices([now, past, future, some_midnight], weights=[6, 2, 1, 1], k=random.randint(1, 3))
    stored = execute_values(cursor, INSERT, [(moment,) for moment in moments], template=ROW, fetch=True)
    return [(id_, to_micros(moment)) for id_, moment in stored]


@contextmanager
def reading(url: str) -> Iterator[dict[str, list[Answer]]]:
    """While all readers read. Afterwards it has the answers of each."""
    queue, end = processes.Queue(), processes.Event()
    readers = [processes.Process(target=run, args=(url, reader, queue, end), daemon=True) for reader in READERS]
    answers: dict[str, list[Answer]] = {}
    try:
        for reader in readers:
            reader.start()
        for _ in readers:
            assert receive(queue) == "ready"
        yield answers
        end.set()
        for _ in readers:
            name, given = receive(queue)
            answers[name] = given
    finally:
        for reader in readers:
            finish(reader)
        queue.close()


def receive(queue: Queue) -> Any:
    message = queue.get(timeout=120)
    if isinstance(message, Exception):
        raise message
    return message


def finish(process: SpawnProcess) -> None:
    process.join(10)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def run(url: str, reader: Reader, queue: Queue, end: Event) -> None:
    """One reader's process."""
    try:
        for constant, value in reader.constants.items():
            module, _, name = constant.rpartition(".")
            setattr(importlib.import_module(module), name, value)
        source = HybridEvents(PostgresEvents(url))
        events = LiveEvents(
            source,
            warm_window=timedelta(hours=1),
            memory_bytes=reader.memory_bytes,
            reload_interval=reader.reload_interval,
        )
        events.start()
        events.window(EARLIEST, LATEST)
        queue.put("ready")
        with ThreadPoolExecutor(reader.threads) as pool:
            parts = [
                pool.submit(request_windows, events, Random(f"{reader.name} {n}"), end) for n in range(reader.threads)
            ]
            given = [answer for part in parts for answer in part.result()]
        given.append(request(events, EARLIEST, LATEST))
        events.close()
        queue.put((reader.name, given))
    except Exception:  # noqa: BLE001  the test raises it
        queue.put(AssertionError(f"{reader.name}: {traceback.format_exc()}"))


def request_windows(events: LiveEvents, random: Random, end: Event) -> list[Answer]:
    """Requests windows of all kinds until the end."""
    given: list[Answer] = []
    while not end.is_set() or len(given) <= 20:
        now = datetime.now(UTC)
        since, until = random.choice(
            [
                (EARLIEST, LATEST),
                (now - timedelta(seconds=random.uniform(0, 5)), now),
                (now - random.uniform(0, 12) * DAY, now + DAY),
                (now - random.uniform(20, 30) * DAY, now - random.uniform(1, 20) * DAY),
                (now + DAY, LATEST),
            ]
        )
        given.append(request(events, since, until))
        time.sleep(random.uniform(0, 0.02))
    return given


def request(events: LiveEvents, since: datetime, until: datetime) -> Answer:
    requested = time.monotonic()
    ids = events.window(since, until).select("id").collect()["id"]
    return Answer(requested, to_micros(since), to_micros(until), array("q", ids.to_list()))
