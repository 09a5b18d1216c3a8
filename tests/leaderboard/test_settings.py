"""Settings are read once and refused in one line that names them."""

from pathlib import Path

import pytest

from leaderboard.settings import Settings, SettingsError, described


def test_without_an_environment_the_defaults_hold() -> None:
    settings = Settings.load({})
    assert (settings.postgres, settings.secret, settings.catalyst_region_url) == (None, None, None)
    assert (settings.start_time_window, settings.db_timeout, settings.log_level) == (24, 20, "INFO")
    assert (settings.regions_cache_timeout, settings.pipelines_cache_timeout) == (60, 60)
    assert settings.data_dir.is_absolute()


def test_the_environment_is_read(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("name", [name for name, _, _ in described()])
def test_an_empty_variable_is_not_set(name: str) -> None:
    assert Settings.load({name: " "}) == Settings.load({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES", "mysql://localhost/x"),
        ("POSTGRES", "localhost"),
        ("POSTGRES", "postgres://localhost/x?nonsense=1"),
        ("POSTGRES", "postgres://user:hu/sh@localhost/x"),
        ("POSTGRES", "postgres://user:hush@evil@localhost/x"),
        ("POSTGRES", "postgres://localhost:port/x"),
        ("POSTGRES", "postgres://localhost/x?sslmode=maybe"),
        ("START_TIME_WINDOW", "day"),
        ("START_TIME_WINDOW", "1e300"),
        ("DB_TIMEOUT", "1e10"),
        ("DB_TIMEOUT", "0"),
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
    ],
)
def test_a_value_that_cannot_be_read_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load({name: value})
    assert str(raised.value).startswith(f"{name} must ")
    assert "\n" not in str(raised.value)
    assert "hu" not in str(raised.value)


def test_secrets_are_not_shown() -> None:
    settings = Settings(postgres="postgres://user:hush@db/x", secret="hush")
    assert "hush" not in repr(settings)
