"""The values of the settings as the status shows them."""

from pathlib import Path

import pytest

from leaderboard.settings import Settings, describe_settings
from leaderboard.status.setting_values import SET, place_of, setting_values

SECRETS = Settings(
    postgres="postgresql://alice:hunter2@db.example:5433/scores?options=-csearch_path%3Dlb",
    secret="hunter2",
    cache_redis_url="rediss://:hunter2@cache.example:6380/3",
    catalyst_region_url="https://alice:hunter2@regions.example/list.json?token=hunter2",
    lake_url="s3://key:hunter2@bucket/lake",
    data_dir=Path("/data"),
)


def test_values_have_no_secrets() -> None:
    values = {setting.name: setting.value for setting in setting_values(SECRETS)}
    assert list(values) == [setting.name for setting in describe_settings()]
    assert not [name for name, value in values.items() if "hunter2" in value or "alice" in value]
    assert values["POSTGRES"] == "db.example:5433, database scores"
    assert values["SECRET"] == "set"
    assert values["CACHE_REDIS_URL"] == "rediss://cache.example:6380/3"
    assert values["CATALYST_REGION_URL"] == "https://regions.example/list.json"
    assert values["LAKE_URL"] == "s3://bucket/lake"
    assert values["DATA_DIR"] == "/data"


def test_defaults_are_marked() -> None:
    by_name = {setting.name: setting for setting in setting_values(Settings(port=9000))}
    assert by_name["SECRET"].value == "not set"
    assert (by_name["PORT"].value, by_name["PORT"].is_default) == ("9000", False)
    assert (by_name["FORMULA"].value, by_name["FORMULA"].is_default) == ("2", True)
    lake = by_name["LAKE_URL"]
    assert (lake.value, lake.is_default) == ("a folder in DATA_DIR for each database", True)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://one:1,two:2/scores", "one:1, two:2, database scores"),
        ("postgresql:///scores?host=/run/postgresql&user=alice&password=hunter2", "/run/postgresql, database scores"),
        ("postgresql://alice:hunter2@db", "db, database of its user"),
        ("postgresql://alice:hun/ter2@db/scores", SET),
        ("redis://:hun/ter2@cache/0", SET),
        ("unix:///run/redis.sock?password=hunter2", "unix:///run/redis.sock"),
        ("https://regions.example:hunter2/", SET),
    ],
)
def test_places_have_no_credentials(url: str, place: str) -> None:
    assert place_of(url) == place
