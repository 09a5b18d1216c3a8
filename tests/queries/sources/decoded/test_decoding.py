"""What decoded files have, and how they are mapped."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries.times import to_micros
from tests.queries.sources.decoded.support import (
    DAY,
    EVER,
    HOUR,
    ROOMY,
    START,
    add_file,
    content,
    decoded,
    event,
    hourly,
    lake_content,
    snapshot_of,
    to_frame,
)
from tests.support.older_lake import add_older_file

ODD_TEXTS = ["", "\n", 'a "quoted" one', "ä 🎥", "x" * 5000]


def test_decoded_events_are_those_of_the_lake(tmp_path: Path) -> None:
    odd = [event(100 + number, START, service_uri=text, outcome=text) for number, text in enumerate(ODD_TEXTS)]
    add_file(tmp_path / "lake", [*hourly(1, 50), *odd])
    snapshot = add_file(tmp_path / "lake", hourly(200, 30, START + 40 * DAY))
    events = decoded(tmp_path / "decoded", snapshot)
    assert events.is_complete
    assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))


def test_files_of_older_releases_are_decoded_with_every_column(tmp_path: Path) -> None:
    payload = '{"test_outcome": "success", "errors": [{"error_code": "OrchestratorBusy"}]}'
    add_file(tmp_path / "lake", hourly(1, 10))
    add_older_file(str(tmp_path / "lake"), to_frame(hourly(11, 10, payload=payload)))
    snapshot = snapshot_of(tmp_path / "lake")
    assert snapshot.older_files == 1
    events = decoded(tmp_path / "decoded", snapshot)
    assert events.is_complete
    found = content(events.window(*EVER))
    assert_frame_equal(found, lake_content(snapshot))
    assert found["error_kind"].to_list() == ["none"] * 10 + ["busy"] * 10


@pytest.mark.parametrize("is_decoded", [True, False])
def test_windows_and_counts(tmp_path: Path, is_decoded: bool) -> None:
    for first in (1, 101, 201):
        snapshot = add_file(tmp_path / "lake", hourly(first, 48, START + first * HOUR))
    events = decoded(tmp_path / "decoded", snapshot, ROOMY if is_decoded else 0)
    assert events.is_complete is is_decoded
    moments = [START + number * HOUR for number in (0, 1, 20, 48, 101, 120, 148, 149, 201, 248, 400)]
    for since, until in [*pairwise(moments), (moments[0], moments[-1]), (moments[5], moments[2])]:
        found = content(events.window(to_micros(since), to_micros(until)))
        assert_frame_equal(found, lake_content(snapshot, since, until))
    for moment in moments:
        for inclusive in (True, False):
            count = events.count_from(to_micros(moment), inclusive=inclusive)
            since = moment if inclusive else moment + HOUR / 60
            assert count in ({lake_content(snapshot, since).height} if is_decoded else {None, 0, 48, 96, 144})


def test_a_mapped_window_is_the_memory_of_the_file(tmp_path: Path) -> None:
    snapshot = add_file(tmp_path / "lake", hourly(1, 100))
    events = decoded(tmp_path / "decoded", snapshot)
    (file,) = (tmp_path / "decoded").glob("*.arrow")
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(file))]
    regions = [range(*(int(bound, 16) for bound in fields[0].split("-"))) for fields in maps]
    for frame in events.window(to_micros(START + 10 * HOUR), to_micros(START + 60 * HOUR)):
        assert isinstance(frame, pl.DataFrame)
        assert 0 < frame.height < 50
        for column in frame:
            values = column.to_physical().to_arrow().buffers()[1]
            assert any(values.address in region for region in regions), column.name


def test_one_event(tmp_path: Path) -> None:
    snapshot = add_file(tmp_path / "lake", [event(1, START)])
    events = decoded(tmp_path / "decoded", snapshot)
    assert content(events.window(*EVER)).height == 1
    assert events.count_from(to_micros(START), inclusive=True) == 1
    assert events.count_from(to_micros(START), inclusive=False) == 0
