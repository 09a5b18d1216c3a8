"""Whether the disk of the embedded server has room."""

import os
from pathlib import Path

import pytest

from leaderboard.postgres.disk_space import MIN_FREE_BYTES, is_disk_full
from tests.support.disks import small_disk


def test_disk_with_room_is_not_full(tmp_path: Path) -> None:
    assert not is_disk_full(tmp_path)


def test_folder_that_does_not_exist_is_not_full(tmp_path: Path) -> None:
    assert not is_disk_full(tmp_path / "missing")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_disk_is_full_below_the_bound() -> None:
    with small_disk(2 * MIN_FREE_BYTES) as disk:
        assert not is_disk_full(disk)
        (disk / "file").write_bytes(bytes(MIN_FREE_BYTES + 1))
        assert is_disk_full(disk)
