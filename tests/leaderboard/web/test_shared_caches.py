"""Several machines share what one of them has computed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leaderboard.app import create_app
from leaderboard.settings import Settings, SettingsError
from tests.conftest import clone, load_events
from tests.leaderboard.results.test_posting import ADDRESS
from tests.support.serving import serving

SCORES = "/api/aggregated_stats"


def assert_two_services_compute_once(settings: Settings, computed: Callable[[], list[str]]) -> None:
    load_events(settings.postgres, [[datetime.now(UTC).timestamp(), ADDRESS, "FRA", "transcoding", {}]])
    with serving(settings) as one, serving(settings) as other:
        assert list(one.get(SCORES).json) == [ADDRESS]
        assert one.get(SCORES).data == other.get(SCORES).data
        assert computed() == ["aggregated_stats"]


def test_services_share_a_folder(database: str, tmp_path: Path, computed: Callable[[], list[str]]) -> None:
    settings = Settings(lake_sync_interval=0, postgres=database, cache_type="FileSystemCache", cache_dir=tmp_path)
    assert_two_services_compute_once(settings, computed)


def test_services_share_redis(database: str, redis: str, computed: Callable[[], list[str]]) -> None:
    settings = Settings(lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url=redis)
    assert_two_services_compute_once(settings, computed)


def test_services_of_two_databases_do_not_share(database: str, server: str, template: str, tmp_path: Path) -> None:
    other = clone(server, template, "other_answers")
    now = datetime.now(UTC).timestamp()
    load_events(other, [[now, ADDRESS, "FRA", "transcoding", {}]])
    load_events(database, [[now, "0x" + "c" * 40, "FRA", "transcoding", {}]])
    found = []
    for url in (database, other):
        with serving(
            Settings(lake_sync_interval=0, postgres=url, cache_type="FileSystemCache", cache_dir=tmp_path)
        ) as client:
            found += client.get(SCORES).json
    assert found == ["0x" + "c" * 40, ADDRESS]


def test_unavailable_cache_fails_no_request(database: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(
        lake_sync_interval=0, postgres=database, cache_type="RedisCache", cache_redis_url="redis://127.0.0.1:1/0"
    )
    with serving(settings) as client:
        assert client.get(SCORES).json == {}
        assert client.get("/api/regions").status_code == 200
    assert "reading the cache of responses fails" in caplog.text


def test_unusable_cache_stops_the_start(database: str) -> None:
    with pytest.raises(SettingsError, match="CACHE_TYPE FileSystemCache cannot be used"):
        create_app(
            Settings(
                lake_sync_interval=0, postgres=database, cache_type="FileSystemCache", cache_dir=Path("/dev/null/x")
            )
        )
