"""The socket of the embedded server is never one that another user put there."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from adbc_driver_postgresql import dbapi

from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.socket_folder import SOCKET_NAME
from tests.conftest import rows

pytestmark = pytest.mark.slow

LONG_NAME = "long" * 30
NOBODY_UID = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


def socket_folder(url: str) -> Path:
    """The folder of the socket that a URL names."""
    return Path(parse_qs(urlsplit(url).query)["host"][0])


@contextmanager
def listening(folder: Path) -> Iterator[list[socket.socket]]:
    """A server of this process on the socket in the folder. Yields the connections that it has accepted."""
    connections: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        # the paths of the tests are too long
        home = os.open(folder, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{home}/{SOCKET_NAME}")
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield connections
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in connections:
        connection.close()
    (folder / SOCKET_NAME).unlink(missing_ok=True)
    os.close(home)


def plant_of_nobody(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY_UID, NOBODY_UID)


@pytest.mark.parametrize(
    "plant",
    [
        lambda folder: folder.symlink_to(folder.parent),
        lambda folder: folder.mkdir(mode=0o777),
        lambda folder: folder.write_text(""),
        pytest.param(plant_of_nobody, marks=only_root),
    ],
    ids=["link", "open to all", "file", "of another user"],
)
def test_socket_folder_that_another_user_created_is_not_used(
    empty_folder: Path, plant: Callable[[Path], object], warnings: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedPostgres(empty_folder / LONG_NAME)
    planted = socket_folder(server.url)
    plant(planted)
    try:
        url = server.acquire()
        assert socket_folder(url) != planted
        assert rows(url.replace("/leaderboard?", "/postgres?"), "SELECT 1") == [(1,)]
        assert f"{planted} cannot be used" in warnings.text
        # another process finds the same server
        other = EmbeddedPostgres(empty_folder / LONG_NAME)
        assert other.is_running()
        assert other.acquire() == url
        other.release()
        server.release()
        assert not socket_folder(url).exists()
    finally:
        planted.rmdir() if planted.is_dir() and not planted.is_symlink() else planted.unlink()


@only_root
@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_socket_of_another_user_is_never_talked_to(empty_folder: Path, mode: int) -> None:
    server = EmbeddedPostgres(empty_folder / LONG_NAME)
    planted = socket_folder(server.url)
    plant_of_nobody(planted)
    planted.chmod(mode)
    try:
        with listening(planted) as connections:
            assert not server.is_running()
            server.acquire()
            server.release()
        assert connections == []
    finally:
        planted.rmdir()


@only_root
def test_clients_refuse_a_server_of_another_user(data_dir: Path) -> None:
    # root is not the account of the server
    url = EmbeddedPostgres(data_dir).url
    with listening(socket_folder(url)):
        with pytest.raises(psycopg2.OperationalError, match="requirepeer"):
            psycopg2.connect(url)
        with pytest.raises(dbapi.Error, match="requirepeer"):
            dbapi.connect(url)


def test_socket_folder_is_removed_with_the_server(empty_folder: Path) -> None:
    server = EmbeddedPostgres(empty_folder / LONG_NAME)
    sockets = socket_folder(server.acquire())
    assert sockets.stat().st_mode & 0o077 == 0
    server.release()
    assert not sockets.exists()


def test_data_that_is_open_to_others_becomes_private(data_dir: Path) -> None:
    (data_dir / "postgres").chmod(0o755)
    server = EmbeddedPostgres(data_dir)
    server.acquire()
    assert (data_dir / "postgres").stat().st_mode & 0o077 == 0
    server.release()
