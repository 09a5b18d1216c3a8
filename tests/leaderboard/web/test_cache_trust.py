"""Whoever can write to the cache can run no code and break no answer."""

import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.app import create_app
from leaderboard.settings import Settings, SettingsError
from leaderboard.web.caching.rendered import VERSION, RenderedResponse, decode, encode
from leaderboard.web.media_types import ALL_FORMATS
from tests.conftest import load_events
from tests.leaderboard.results.test_posting import ADDRESS
from tests.support.serving import serving

SCORES = "/api/aggregated_stats"
ETAG = "0123456789abcdef01234567"
RESPONSES = [
    RenderedResponse(b"{}", ETAG),
    *(RenderedResponse(b"\x00\xff", ETAG, file_format, "raw_stats") for file_format in ALL_FORMATS),
    RenderedResponse(b"", ETAG, next_cursor="WyJh-_9", as_of=datetime(2026, 11, 25, 12, 0, 0, 123456, UTC)),
    b"a compressed body",
]


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


def folder_settings(database: str, folder: Path) -> Settings:
    return Settings(lake_sync_interval=0, postgres=database, cache_type="FileSystemCache", cache_dir=folder)


def store_one_response(settings: Settings) -> bytes:
    """Asks a service whose cache is empty, and returns the body."""
    assert settings.postgres is not None
    load_events(settings.postgres, [[datetime.now(UTC).timestamp(), ADDRESS, "FRA", "transcoding", {}]])
    with serving(settings) as client:
        return ask(client)


def ask(client: FlaskClient) -> bytes:
    response = client.get(SCORES)
    assert response.status_code == 200
    return response.data


@pytest.mark.parametrize("value", RESPONSES, ids=str)
def test_value_survives_being_stored(value: RenderedResponse | bytes) -> None:
    assert decode(encode(value)) == value


def test_pickle_in_the_folder_is_not_loaded(database: str, tmp_path: Path, computed: Callable[[], list[str]]) -> None:
    settings = folder_settings(database, tmp_path / "cache")
    body = store_one_response(settings)
    (entry,) = files(tmp_path / "cache")
    planted = pickle.dumps(_Bomb(tmp_path / "planted"))
    # as the entry itself, and under names of the library that wrote this folder before
    for path, prefix in ((entry, b""), (entry.parent / "2029240f6d1128be89ddc32729463129", b"\xff\xff\xff\xff")):
        expires = entry.stat().st_mtime
        path.write_bytes(prefix + planted)
        os.utime(path, (expires, expires))
    with serving(settings) as client:
        assert ask(client) == body
    assert computed() == ["aggregated_stats"] * 2
    assert not (tmp_path / "planted").exists()


def test_pickle_in_redis_is_not_loaded(
    database: str, redis: str, tmp_path: Path, computed: Callable[[], list[str]]
) -> None:
    from redis import Redis

    settings = Settings(lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url=redis)
    body = store_one_response(settings)
    server = Redis.from_url(redis)
    keys = server.keys("leaderboard-*")
    assert keys
    for key in keys:
        server.set(key, b"!" + pickle.dumps(_Bomb(tmp_path / "planted")))
    with serving(settings) as client:
        assert ask(client) == body
    assert computed() == ["aggregated_stats"] * 2
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("kind", ["list", "hash"])
def test_other_type_in_redis_is_replaced(database: str, redis: str, kind: str) -> None:
    from redis import Redis

    settings = Settings(lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url=redis)
    body = store_one_response(settings)
    server = Redis.from_url(redis)
    for key in server.keys("leaderboard-*"):
        server.delete(key)
        server.rpush(key, "x") if kind == "list" else server.hset(key, "x", "y")
    with serving(settings) as client:
        assert ask(client) == body


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        VERSION,
        pickle.dumps(1),
        b"\x02" + encode(b"x")[1:],
        encode(b"x")[:-1],
        encode(b"x") + b"x",
        VERSION + msgspec.msgpack.encode([b"", f"{ETAG}\r\nSet-Cookie: a=b", "json", "", None, None]),
        VERSION + msgspec.msgpack.encode([b"", ETAG, "exe", "", None, None]),
        VERSION + msgspec.msgpack.encode([b"", ETAG, "csv", '"\r\n', None, None]),
        VERSION + msgspec.msgpack.encode([b"", ETAG, "json", "", 'x>; rel="y"\r\n', None]),
        VERSION + msgspec.msgpack.encode([b"", ETAG, "json", "", None, "2026-11-25T12:00:00"]),
        VERSION + msgspec.msgpack.encode([b"", ETAG, "json", "", None, None, 1]),
        VERSION + msgspec.msgpack.encode([b"", ETAG]),
        VERSION + b"\xdd\xff\xff\xff\xff",
    ],
)
def test_foreign_value_counts_as_not_cached(stored: bytes) -> None:
    assert decode(stored) is None


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_can_be_decoded(stored: bytes, has_version: bool) -> None:
    value = decode(VERSION * has_version + stored)
    assert value is None or decode(encode(value)) == value


def test_new_folder_is_private(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "cache"
    store_one_response(folder_settings(database, folder))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in files(folder)] == [0o600]


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_folder_that_others_may_write_to_is_refused(database: str, tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SettingsError, match=r"others may write to .*: run chmod 700 /") as raised:
        create_app(folder_settings(database, folder))
    assert "\n" not in str(raised.value)


def test_folder_below_one_that_everybody_may_write_to_is_refused(database: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="could replace"):
        create_app(folder_settings(database, tmp_path / "cache"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    os.chown(folder, 12345, -1)
    with pytest.raises(SettingsError, match="belongs to the user with the number 12345"):
        create_app(folder_settings(database, folder))


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_planted_entry_breaks_no_answer(database: str, tmp_path: Path, plant: Callable[[str], None]) -> None:
    settings = folder_settings(database, tmp_path / "cache")
    body = store_one_response(settings)
    (entry,) = files(tmp_path / "cache")
    entry.unlink()
    plant(str(entry))
    with serving(settings) as client:
        assert ask(client) == body
