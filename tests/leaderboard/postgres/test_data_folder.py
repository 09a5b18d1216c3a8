"""Other users can neither write to the data folder nor put anything of theirs in it."""

import os
import subprocess
from pathlib import Path

import pytest

from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.errors import EmbeddedPostgresError
from tests.support.disks import small_disk

pytestmark = pytest.mark.slow


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_folder_that_every_user_may_write_to_is_closed(data_dir: Path, warnings: pytest.LogCaptureFixture) -> None:
    (data_dir / "users.lock").touch()
    data_dir.chmod(0o777)
    server = EmbeddedPostgres(data_dir)
    server.acquire()
    assert mode(data_dir) == 0o775
    assert f"every user could write to DATA_DIR {data_dir}" in warnings.text
    server.release()


@pytest.mark.parametrize("open_mode", [0o777, 0o1777])
def test_shared_folder_is_refused_and_stays_as_it_is(empty_folder: Path, open_mode: int) -> None:
    (empty_folder / "something-else").touch()
    empty_folder.chmod(open_mode)
    with pytest.raises(EmbeddedPostgresError, match=f"every user may write to DATA_DIR {empty_folder}: choose a"):
        EmbeddedPostgres(empty_folder).acquire()
    assert mode(empty_folder) == open_mode


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_umask_does_not_change_who_may_write(empty_folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        server = EmbeddedPostgres(empty_folder / "new" / "data")
        server.acquire()
        server.release()
    finally:
        os.umask(before)
    writable = [path for path in empty_folder.rglob("*") if not path.is_symlink() and mode(path) & 0o022]
    assert writable == []
    data = empty_folder / "new" / "data"
    assert {mode(data / name) for name in ("users.lock", "server.lock", "postgres.log")} == {0o600}


@pytest.mark.parametrize("name", ["users.lock", "server.lock", "postgres.log"])
def test_link_in_the_place_of_a_file_is_not_followed(data_dir: Path, name: str, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    (data_dir / name).unlink(missing_ok=True)
    (data_dir / name).symlink_to(target)
    with pytest.raises(EmbeddedPostgresError, match=f"DATA_DIR {data_dir} cannot be used"):
        EmbeddedPostgres(data_dir).acquire()
    assert target.read_text() == "content"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
def test_data_of_another_account_is_named(data_dir: Path) -> None:
    os.chown(data_dir / "postgres", 12345, 12345)
    with pytest.raises(EmbeddedPostgresError, match="belongs to uid 12345, but PostgreSQL runs as uid"):
        EmbeddedPostgres(data_dir).acquire()


def test_read_only_disk_is_named() -> None:
    with small_disk(1 << 20) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(
            EmbeddedPostgresError, match=f"^DATA_DIR {disk}/data cannot be used: Read-only file system; "
        ):
            EmbeddedPostgres(disk / "data").acquire()
