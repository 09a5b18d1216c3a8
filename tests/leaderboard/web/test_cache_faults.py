"""Whatever fails in a shared cache, requests are answered as without it."""

import errno
import logging
import resource
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from leaderboard.settings import Settings
from tests.support.serving import serving
from tests.support.waiting import eventually

QUESTIONS = [f"/api/aggregated_stats?region=R{number}" for number in range(20)]
MAX_SECONDS = 10
"""For all questions. Each would wait for a second or longer if it waited for the cache."""

Respond = Callable[[socket.socket, bytes], None]


@contextmanager
def tcp_server(respond: Respond) -> Iterator[str]:
    """The URL of a server that reads what clients send, and responds with what the function sends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while received := connection.recv(1 << 16):
                respond(connection, received)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def say(line: bytes) -> Respond:
    """Responds to each command with the line."""

    def respond(connection: socket.socket, received: bytes) -> None:
        connection.sendall(line * received.count(b"*"))

    return respond


def be_silent(_: socket.socket, __: bytes) -> None:
    """Reads and says nothing."""


def drip(connection: socket.socket, _: bytes) -> None:
    """Begins a response, and sends a byte of it before each timeout of a driver."""
    connection.sendall(b"$1000000\r\n")
    for _ in range(600):
        connection.sendall(b"x")
        time.sleep(0.1)


def be_slow(connection: socket.socket, received: bytes) -> None:
    time.sleep(0.9)
    connection.sendall(b"$-1\r\n" * received.count(b"*"))


WRONG = {
    "silent": be_silent,
    "slow": be_slow,
    "dripping": drip,
    "not Redis": say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "needs a password": say(b"-NOAUTH Authentication required.\r\n"),
    "loading": say(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "full": say(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
    "cannot save": say(b"-MISCONF Redis is configured to save RDB snapshots\r\n"),
    "hangs up": lambda connection, _: connection.close(),
    "escape sequences": say(b"-ERR \x1b[2J\r\n"),
}


def ask_all(client: FlaskClient, seconds: float = MAX_SECONDS) -> None:
    started = time.monotonic()
    statuses = [client.get(path, headers={"Accept-Encoding": "gzip"}).status_code for path in QUESTIONS]
    assert statuses == [200] * len(QUESTIONS)
    assert time.monotonic() - started < seconds


def cache_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if "the cache of responses" in message]


@pytest.mark.parametrize("respond", WRONG.values(), ids=WRONG.keys())
def test_wrong_redis_delays_no_request(database: str, respond: Respond, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with (
        tcp_server(respond) as url,
        serving(
            Settings(lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url=url)
        ) as client,
    ):
        ask_all(client)
    messages = cache_messages(caplog)
    assert 1 <= len(messages) <= 2
    assert messages[0].startswith("reading the cache of responses fails: ")
    assert all(message.isprintable() for message in messages)


def test_redis_that_only_reads_is_read(database: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    def respond(connection: socket.socket, received: bytes) -> None:
        for command in received.split(b"*")[1:]:
            refusal = b"-READONLY You can't write against a read only replica.\r\n"
            connection.sendall(
                refusal if b"\r\nSET\r\n" in command else b"$0\r\n\r\n" if b"GETRANGE" in command else b"+OK\r\n"
            )

    with (
        tcp_server(respond) as url,
        serving(
            Settings(lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url=url)
        ) as client,
    ):
        ask_all(client)
    (message,) = cache_messages(caplog)
    assert message.startswith("writing the cache of responses fails: ")


def test_redis_that_stalls_later_is_used_again_when_it_responds(
    database: str, redis: str, caplog: pytest.LogCaptureFixture, computed: Callable[[], list[str]]
) -> None:
    port = int(redis.rpartition(":")[2].partition("/")[0])
    stalls = threading.Event()
    relays: dict[socket.socket, socket.socket] = {}
    connections = ExitStack()

    def respond(connection: socket.socket, received: bytes) -> None:
        if stalls.is_set():
            return
        if connection not in relays:
            relays[connection] = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
        server = relays[connection]
        server.sendall(received)
        server.settimeout(0.05)
        with suppress(TimeoutError):
            while part := server.recv(1 << 16):
                connection.sendall(part)

    with (
        connections,
        tcp_server(respond) as url,
        serving(
            Settings(lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url=url)
        ) as client,
    ):
        path = QUESTIONS[0]

        def is_cached() -> bool:
            before = len(computed())
            assert client.get(path).status_code == 200
            return len(computed()) == before

        eventually(is_cached)
        stalls.set()
        ask_all(client)
        assert any("reading the cache of responses fails" in message for message in caplog.messages)
        stalls.clear()
        eventually(is_cached)
        assert any("reading the cache of responses works again" in message for message in caplog.messages)


def folder_settings(database: str, folder: Path) -> Settings:
    return Settings(lake_sync_interval=0, postgres=database, cache_type="FileSystemCache", cache_dir=folder)


def test_full_disk_costs_the_cache_only(database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    folder = tmp_path / "cache"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with serving(folder_settings(database, folder)) as client:
        # no file of this process may grow, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            ask_all(client)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
    (message,) = cache_messages(caplog)
    assert message == f"writing the cache of responses fails: [Errno {errno.EFBIG}] File too large"
    assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == []


def test_removed_folder_is_made_again(database: str, tmp_path: Path, computed: Callable[[], list[str]]) -> None:
    folder = tmp_path / "cache"
    with serving(folder_settings(database, folder)) as client:
        ask_all(client)
        shutil.rmtree(folder)
        ask_all(client)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(list(folder.iterdir())) == len(QUESTIONS)


def test_folder_that_others_may_write_to_later_is_not_used(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    folder = tmp_path / "cache"
    with serving(folder_settings(database, folder)) as client:
        ask_all(client)
        folder.chmod(0o777)
        assert client.get("/api/aggregated_stats?region=NEW").status_code == 200
    assert any("others may write to" in message for message in cache_messages(caplog))
