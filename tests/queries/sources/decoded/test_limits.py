"""What is decoded where there is little room, or none, and what is deleted."""

import subprocess
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.table import LakeTable
from queries.sources.decoded import DecodedLake, decoder
from queries.sources.decoded.decoded_files import DECODED_EVENT_BYTES
from queries.times import to_micros
from tests.queries.sources.decoded.support import (
    DAY,
    EVER,
    HOUR,
    ROOMY,
    SECOND,
    START,
    add_file,
    content,
    decoded,
    hourly,
    lake_content,
    snapshot_of,
)
from tests.support.disks import fill, small_disk


def file_count(folder: Path) -> int:
    return len(list(folder.glob("*.arrow")))


def test_the_newest_files_that_fit_are_decoded(tmp_path: Path) -> None:
    for number in range(4):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 20 * number, 20, START + number * DAY))
    events = decoded(tmp_path / "decoded", snapshot, max_bytes=45 * DECODED_EVENT_BYTES)
    assert file_count(tmp_path / "decoded") == 2
    assert not events.is_complete
    assert events.count_from(to_micros(START + 2 * DAY), inclusive=True) == 40
    assert events.count_from(to_micros(START + HOUR), inclusive=True) is None
    assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))


def test_the_size_of_a_decoded_event(tmp_path: Path) -> None:
    decoded(tmp_path / "decoded", add_file(tmp_path / "lake", hourly(1, 20_000, step=SECOND, warm=True)))
    (file,) = (tmp_path / "decoded").glob("*.arrow")
    assert file.stat().st_size == pytest.approx(20_000 * DECODED_EVENT_BYTES, rel=0.1)


def test_files_that_the_lake_no_longer_has_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 10 * number, 10))
    lake = DecodedLake(tmp_path / "decoded", ROOMY)
    lake.decode(snapshot)
    before = lake.open(snapshot)
    LakeTable(str(tmp_path / "lake")).compact()
    compacted = snapshot_of(tmp_path / "lake")
    lake.decode(compacted)
    # another process may not know of the new version yet
    assert file_count(tmp_path / "decoded") == 4
    monkeypatch.setattr(decoder, "LEFTOVER_SECONDS", 0)
    lake.decode(compacted)
    assert file_count(tmp_path / "decoded") == 1
    for events in (before, lake.open(compacted)):
        assert events.is_complete
        assert_frame_equal(content(events.window(*EVER)), lake_content(compacted))


def test_a_lower_limit_frees_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 10 * number, 10))
    decoded(tmp_path / "decoded", snapshot)
    monkeypatch.setattr(decoder, "LEFTOVER_SECONDS", 0)
    decoded(tmp_path / "decoded", snapshot, max_bytes=0)
    assert file_count(tmp_path / "decoded") == 0


@pytest.mark.parametrize("is_filled", [True, False], ids=["by others", "by the lake"])
def test_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture, is_filled: bool) -> None:
    for number in range(3):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 3000 * number, 3000, START + number * HOUR, SECOND))
    with small_disk(600 << 10) as disk:
        lake = DecodedLake(disk / "decoded", ROOMY)
        filler = fill(disk) if is_filled else None
        for _ in range(2):
            lake.decode(snapshot)
        assert caplog.text.count("No space left on device") == 1
        events = lake.open(snapshot)
        assert len(events.batches) == (0 if is_filled else 2)
        assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))
        assert not list(disk.glob("decoded/*.partial"))
        subprocess.run(["mount", "-o", "remount,size=16M", disk], check=True)
        if filler is not None:
            filler.unlink()
        lake.decode(snapshot)
        assert "works again" in caplog.text
        assert lake.open(snapshot).is_complete


def test_a_part_of_the_disk_is_left_to_others(tmp_path: Path) -> None:
    for number in range(3):
        snapshot = add_file(tmp_path / "lake", hourly(1 + 3000 * number, 3000, START + number * HOUR, SECOND))
    decoded(tmp_path / "decoded", snapshot)
    sizes = [file.stat().st_size for file in (tmp_path / "decoded").glob("*.arrow")]
    with small_disk(sum(sizes) * 103 // 100) as disk:
        assert len(decoded(disk / "decoded", snapshot).batches) == 2


def test_a_disk_that_fills_up_while_a_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "MIN_FREE_FRACTION", -1000)
    snapshot = add_file(tmp_path / "lake", hourly(1, 5000, step=SECOND))
    with small_disk(128 << 10) as disk:
        lake = DecodedLake(disk / "decoded", ROOMY)
        lake.decode(snapshot)
        assert {file.suffix for file in (disk / "decoded").iterdir()} <= {".json", ""}
        assert_frame_equal(content(lake.open(snapshot).window(*EVER)), lake_content(snapshot))


def test_a_read_only_disk_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = add_file(tmp_path / "lake", hourly(1, 10))
    second = add_file(tmp_path / "lake", hourly(11, 10))
    with small_disk(16 << 20) as disk:
        decoded(disk / "decoded", first)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        events = decoded(disk / "decoded", second)
        assert "Read-only file system" in caplog.text
        assert len(events.batches) == 1
        assert_frame_equal(content(events.window(*EVER)), lake_content(second))


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    snapshot = add_file(tmp_path / "lake", hourly(1, 10))
    assert decoded(tmp_path / "decoded", snapshot).is_complete
    (tmp_path / "decoded").chmod(mode)
    assert not decoded(tmp_path / "decoded", snapshot).is_complete
    assert "other users may write to the folder" in caplog.text


def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshot = add_file(tmp_path / "lake", hourly(1, 10))
    (tmp_path / "file").touch()
    events = decoded(tmp_path / "file" / "decoded", snapshot)
    assert "Not a directory" in caplog.text
    assert_frame_equal(content(events.window(*EVER)), lake_content(snapshot))
