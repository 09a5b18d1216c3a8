"""A machine that cannot keep a lake: its disk is read-only or full. The service works without one."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from leaderboard.app import create_app
from leaderboard.lake.background import BackgroundSync
from leaderboard.settings import Settings
from leaderboard.storage.folders import RESERVED_BYTES, why_not_writable
from queries import LakeEvents
from tests.leaderboard.lake.conftest import NOON, Stores, insert_events
from tests.support.disks import small_disk
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


def test_service_without_room_for_a_lake_works_and_says_so_once(
    stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    insert_events(stores.url, NOON)
    caplog.set_level("INFO")
    with small_disk(2 * RESERVED_BYTES) as disk:
        (disk / "filler").write_bytes(bytes(RESERVED_BYTES + (1 << 20)))
        app = create_app(Settings(postgres=stores.url, lake_url=str(disk / "lake"), lake_sync_interval=0.05))
        with closing(app.extensions["leaderboard"]) as service:
            client = app.test_client()
            assert client.get("/api/aggregated_stats?since=1").status_code == 200
            eventually(lambda: service.lake_obstacle)
            health = client.get("/api/health")
            assert (health.status_code, health.json["status"]) == (200, "ok")
            assert health.json["lake"] == {"ok": True, "note": f"the disk of {disk} has less than 256 MiB free"}
            assert "This machine keeps no lake" in client.get("/status").text
            assert not (disk / "lake").exists()
            (disk / "filler").unlink()
            eventually(lambda: LakeEvents(str(disk / "lake")).snapshot())
            eventually(lambda: service.lake_obstacle is None)
    assert caplog.text.count("this machine keeps no lake") == 1


def test_disk_that_fills_up_stops_a_sync_between_two_steps(stores: Stores) -> None:
    with small_disk(2 * RESERVED_BYTES) as disk, closing(BackgroundSync(stores.url, str(disk), 0.05, 20)) as sync:
        insert_events(stores.url, NOON)
        sync.start()
        eventually(lambda: (found := LakeEvents(str(disk)).snapshot()) and found.watermark == 1)
        (disk / "filler").write_bytes(bytes(RESERVED_BYTES + (1 << 20)))
        insert_events(stores.url, NOON)
        eventually(lambda: sync.obstacle)
        assert LakeEvents(str(disk)).require_snapshot().watermark == 1


def test_read_only_folder_is_told_apart(tmp_path: Path) -> None:
    with small_disk(2 * RESERVED_BYTES) as disk:
        assert why_not_writable(str(disk / "new" / "lake")) is None
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert why_not_writable(str(disk / "new" / "lake")) == f"{disk} cannot be written to"
    (tmp_path / "file").touch()
    assert "is no folder" in why_not_writable(str(tmp_path / "file" / "lake"))
    assert why_not_writable("s3://bucket/lake") is None
