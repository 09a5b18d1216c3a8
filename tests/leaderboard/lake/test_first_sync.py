"""The first sync of a large database: it is gentle, can be killed, and readers are right meanwhile."""

import multiprocessing
import signal

import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.pace import FULL_SPEED, Pace, paced
from queries import StoreUnavailable
from tests.conftest import conformance, load_events
from tests.leaderboard.lake.conftest import Stores, sync_until_killed

EVENTS = conformance("events")["events"]
STEP_ROWS = 300

# Polars does not survive a fork
processes = multiprocessing.get_context("spawn")


@pytest.mark.slow
def test_killed_first_sync_loses_one_step_at_most(stores: Stores) -> None:
    load_events(stores.url, EVENTS)
    child = processes.Process(target=sync_until_killed, args=(stores.url, stores.lake, 9, STEP_ROWS))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    interrupted, expected = stores.snapshot(), stores.database_events()
    # a step is one file, or two at a change of the month
    assert interrupted.watermark in (7 * STEP_ROWS, 8 * STEP_ROWS, 9 * STEP_ROWS)
    assert interrupted.synced_percent == 100 * interrupted.watermark // len(EVENTS)
    assert_frame_equal(stores.lake_events(), expected.head(interrupted.watermark))
    assert_frame_equal(stores.hybrid_events(), expected)
    # without the database, it may lack anything
    assert interrupted.as_of.year == 1970
    assert stores.sync().events == len(EVENTS) - interrupted.watermark
    assert stores.snapshot().synced_percent is None
    assert_frame_equal(stores.lake_events(), expected)


def test_gentle_reads_rest_after_each_other() -> None:
    course: list[str] = []

    def read(number: int) -> int:
        course.append(f"read {number}")
        return number

    gentle = Pace(rest=lambda seconds: course.append("rest" if seconds >= 0 else "no time"))
    assert list(paced((lambda n=n: read(n) for n in range(3)), gentle)) == [0, 1, 2]
    assert course == ["read 0", "rest", "read 1", "rest", "read 2", "rest"]


@pytest.mark.parametrize("pace", [FULL_SPEED, Pace(rest=lambda _: None)], ids=["full speed", "gentle"])
def test_error_of_a_read_ends_the_reads(pace: Pace) -> None:
    def fail() -> int:
        raise StoreUnavailable("gone")

    reads = paced(iter([lambda: 1, fail]), pace)
    assert next(reads) == 1
    with pytest.raises(StoreUnavailable, match="gone"):
        next(reads)
