"""A lake of an older release is read as it is."""

from polars.testing import assert_frame_equal

from tests.conftest import conformance, load_events
from tests.leaderboard.lake.conftest import Stores
from tests.support.older_lake import make_older

EVENTS = conformance("events")["events"]


def test_older_lake_gives_the_same_events(stores: Stores) -> None:
    load_events(stores.url, EVENTS)
    stores.sync()
    make_older(stores.lake)
    assert not stores.snapshot().files["complete"].any()
    assert_frame_equal(stores.lake_events(), stores.database_events())
