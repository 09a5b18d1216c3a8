"""Settings come from the environment, and a wrong one is named in one line."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from leaderboard.settings import Settings, SettingsError, describe_settings


def test_defaults() -> None:
    settings = Settings.load({})
    assert (settings.postgres, settings.secret, settings.catalyst_region_url) == (None, None, None)
    assert (settings.start_time_window, settings.db_timeout, settings.log_level) == (24, 20, "INFO")
    assert (settings.regions_cache_timeout, settings.pipelines_cache_timeout) == (60, 60)
    assert settings.data_dir.is_absolute()


def test_environment_is_read(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "POSTGRES": " postgres://u:p%40ss@db.example:6432/scores?sslmode=disable; ",
            "SECRET": " s ",
            "START_TIME_WINDOW": "48",
            "DB_TIMEOUT": "1.5",
            "LOG_LEVEL": "debug",
            "REGIONS_CACHE_TIMEOUT": "0",
            "PIPELINES_CACHE_TIMEOUT": "5",
            "CATALYST_REGION_URL": "https://example.org/catalysts.json",
            "DATA_DIR": str(tmp_path),
        }
    )
    assert settings == Settings(
        postgres="postgres://u:p%40ss@db.example:6432/scores?sslmode=disable",
        # every byte of it counts
        secret=" s ",
        start_time_window=48,
        db_timeout=1.5,
        log_level="DEBUG",
        regions_cache_timeout=0,
        pipelines_cache_timeout=5,
        catalyst_region_url="https://example.org/catalysts.json",
        data_dir=tmp_path,
    )


@pytest.mark.parametrize("name", [setting.name for setting in describe_settings()])
def test_empty_variable_counts_as_not_set(name: str) -> None:
    assert Settings.load({name: " "}) == Settings.load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES", "mysql://localhost/x"),
        ("POSTGRES", "localhost"),
        ("POSTGRES", "postgres://localhost/x?nonsense=1"),
        ("POSTGRES", "postgres://localhost/x?connect_timeout=soon"),
        ("POSTGRES", "postgres://user:hu/sh@localhost/x"),
        ("POSTGRES", "postgres://user:hush@evil@localhost/x"),
        ("POSTGRES", "postgres://localhost:port/x"),
        ("POSTGRES", "postgres://localhost/x?sslmode=maybe"),
        ("START_TIME_WINDOW", "day"),
        ("START_TIME_WINDOW", "1e300"),
        ("DB_TIMEOUT", "1e10"),
        ("DB_TIMEOUT", "0"),
        ("DB_CONNECTIONS", "3"),
        ("DB_CONNECTIONS", "many"),
        ("REGIONS_CACHE_TIMEOUT", "1e300"),
        ("DATA_DIR", "~nobody-of-that-name/x"),
        ("START_TIME_WINDOW", "0"),
        ("START_TIME_WINDOW", "-1"),
        ("DB_TIMEOUT", "nan"),
        ("DB_TIMEOUT", "inf"),
        ("LOG_LEVEL", "LOUD"),
        ("REGIONS_CACHE_TIMEOUT", "-1"),
        ("PIPELINES_CACHE_TIMEOUT", "x"),
        ("CATALYST_REGION_URL", "file:///etc/passwd"),
        ("CACHE_REDIS_URL", "http://user:hush@redis/0"),
        ("CACHE_TYPE", "MemcachedCache"),
        ("CACHE_THRESHOLD", "0"),
        ("LAKE_URL", "ftp://lake"),
        ("LIVE_MEMORY_MIB", "half"),
        ("AUTO_REGISTER_REGIONS", "yes"),
    ],
)
def test_wrong_value_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load({name: value})
    assert str(raised.value).startswith(f"{name} must ")
    assert "\n" not in str(raised.value)
    assert "hu" not in str(raised.value)


@pytest.mark.parametrize(("value", "expected"), [("true", True), (" TRUE", True), ("false", False), ("", False)])
def test_switch_is_true_or_false(value: str, expected: bool) -> None:
    assert Settings.load({"AUTO_REGISTER_REGIONS": value}).auto_register_regions is expected


@pytest.mark.parametrize(
    ("old_name", "new_name"), [("LIVE_MEMORY", "LIVE_MEMORY_MIB"), ("LIVE_REREAD", "LIVE_RELOAD_INTERVAL")]
)
def test_old_name_stops_the_start_with_the_new_name(old_name: str, new_name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{old_name} is now called {new_name}: rename the variable$"):
        Settings.load({old_name: "100"})
    assert Settings.load({old_name: " "}) == Settings.load({})


@pytest.mark.parametrize(
    ("cache_type", "required"), [("RedisCache", "CACHE_REDIS_URL"), ("FileSystemCache", "CACHE_DIR")]
)
def test_cache_that_needs_another_setting_names_it(cache_type: str, required: str) -> None:
    with pytest.raises(SettingsError, match=f"^{required} is required if CACHE_TYPE is {cache_type}$"):
        Settings.load({"CACHE_TYPE": cache_type})


def test_numbers_have_the_units_of_their_names() -> None:
    settings = Settings.load({"LIVE_MEMORY_MIB": "100", "LIVE_RELOAD_INTERVAL": "90"})
    assert (settings.live_memory_mib, settings.live_reload_interval) == (100, 90)


def test_lake_is_in_the_data_folder_unless_it_is_set(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).lake == str(tmp_path / "lake")
    assert Settings.load({"LAKE_URL": "s3://bucket/lake/"}).lake == "s3://bucket/lake"
    assert Settings.load({"LAKE_URL": "lake"}).lake == str(Path.cwd() / "lake")


def test_each_database_has_a_lake_of_its_own(tmp_path: Path) -> None:
    urls = ["postgres://user:hush@db/x", "postgres://db:5432/x", "postgres://db/y", "postgres://other/x"]
    lakes = [Settings(postgres=url, data_dir=tmp_path).lake for url in urls]
    assert lakes[0] == lakes[1]
    assert len({Settings(data_dir=tmp_path).lake, *lakes}) == 4
    assert all(Path(lake).parent == tmp_path for lake in lakes)
    assert Settings(postgres=urls[0], data_dir=tmp_path).lake_is_of_database


def test_lake_of_an_older_release_stays_in_use(tmp_path: Path) -> None:
    settings = Settings(postgres="postgres://db/x", data_dir=tmp_path)
    (tmp_path / "lake" / "_delta_log").mkdir(parents=True)
    assert settings.lake == str(tmp_path / "lake")
    assert not settings.lake_is_of_database
    # it is the embedded database's where there is one
    (tmp_path / "postgres").mkdir()
    assert settings.lake != str(tmp_path / "lake")
    assert settings.lake_is_of_database


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().secret = "x"


def test_secrets_are_not_shown() -> None:
    settings = Settings(postgres="postgres://user:hush@db/x", secret="hush", cache_redis_url="redis://:hush@r")
    assert "hush" not in repr(settings)


def test_descriptions_show_the_defaults() -> None:
    defaults = {setting.name: setting.default for setting in describe_settings()}
    assert (defaults["START_TIME_WINDOW"], defaults["LOG_LEVEL"], defaults["SECRET"]) == (
        "24",
        "INFO",
        "posting is off",
    )
    assert len(defaults) == len(fields(Settings))
