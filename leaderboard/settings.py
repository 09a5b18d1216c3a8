"""The settings: read from the environment once, checked once, passed on."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import platformdirs
import psycopg2
from psycopg2.extensions import parse_dsn

CACHE_TYPES = ("SimpleCache", "FileSystemCache", "RedisCache", "NullCache")
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
LAKE_SCHEMES = ("file", "s3", "s3a", "gs", "az", "abfs", "abfss")  # those of queries.sources.lake, which loads Polars
EMBEDDED_SYNC_INTERVAL = 300.0
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class SettingsError(ValueError):
    """A setting that cannot be read; the message is one line that names it."""


def _postgres(text: str) -> str:
    url = text.strip().rstrip("; ")
    if not url.startswith(("postgres://", "postgresql://")):
        raise ValueError("must begin with postgres:// or postgresql://")
    # what is refused is not shown, as a URL that is written wrongly has its password anywhere
    try:
        options = parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise ValueError("must be a URL such as postgresql://user:password@host:5432/database") from None
    if not all(re.fullmatch("[0-9]{0,5}", port) for port in options.get("port", "").split(",")):
        raise ValueError("must have a number for a port; write / and : in a password as %2F and %3A")
    if "@" in options.get("host", ""):
        raise ValueError("must have one @; write @ in a password as %40")
    if options.get("sslmode", "prefer") not in SSL_MODES:
        raise ValueError(f"must have an sslmode of {', '.join(SSL_MODES)}")
    return url


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None
    # NaN is not between any two
    if not least <= number <= most:
        raise ValueError(f"must be a number from {least:g} to {most:g}, not {text!r}")
    return number


def _hours(text: str) -> float:
    return _number(text, 0.001, 10_000_000)


def _operation(text: str) -> float:
    return _number(text, 0.001, 86_400)


def _kept(text: str) -> float:
    return _number(text, 0, 31_536_000)


def _count(text: str) -> int:
    return int(_number(text, 1, 1_000_000_000))


def _cache_type(text: str) -> str:
    if text.strip() not in CACHE_TYPES:
        raise ValueError(f"must be one of {', '.join(CACHE_TYPES)}, not {text!r}")
    return text.strip()


def _redis(text: str) -> str:
    url = text.strip()
    # what is refused is not shown, as it may hold a password
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return url


def _level(text: str) -> str:
    level = text.strip().upper()
    if level not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}, not {text!r}")
    return level


def _http(text: str) -> str:
    url = text.strip()
    if not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return url


def _lake(text: str) -> str:
    url = text.strip().rstrip("/") or "/"
    scheme, separator, _ = url.partition("://")
    if not separator:
        return str(_folder(url))
    if scheme not in LAKE_SCHEMES:
        raise ValueError(f"must be a folder, or a URL that begins with {', '.join(f'{s}://' for s in LAKE_SCHEMES)}")
    return url


def _seconds_or_never(text: str) -> float:
    return _number(text, 0, 86_400)


def _folder(text: str) -> Path:
    try:
        return Path(text.strip()).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"must be a folder, not {text!r}") from None


def _data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/leaderboard")
    return platformdirs.user_data_path("leaderboard", appauthor=False)


def _setting(
    name: str,
    meaning: str,
    parse: Callable[[str], Any],
    default: Any,
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    metadata = {"name": name, "meaning": meaning, "parse": parse, "shown": shown or str(default)}
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of the service. ``Settings.load()`` reads them from the environment."""

    postgres: str | None = _setting(
        "POSTGRES",
        "database URL, postgres:// or postgresql://; the database is created where it does not exist",
        _postgres,
        None,
        "an embedded PostgreSQL in DATA_DIR",
        secret=True,
    )
    secret: str | None = _setting("SECRET", "HMAC key for posting", str, None, "posting is off", secret=True)
    start_time_window: float = _setting(
        "START_TIME_WINDOW", "hours looked back where a request names no window", _hours, 24.0, "24"
    )
    db_timeout: float = _setting("DB_TIMEOUT", "seconds for one database operation", _operation, 20.0, "20")
    log_level: str = _setting("LOG_LEVEL", ", ".join(LOG_LEVELS), _level, "INFO")
    regions_cache_timeout: float = _setting(
        "REGIONS_CACHE_TIMEOUT", "seconds for which the list of regions is kept", _kept, 60.0, "60"
    )
    pipelines_cache_timeout: float = _setting(
        "PIPELINES_CACHE_TIMEOUT",
        "seconds for which an answer about pipelines is kept",
        _kept,
        60.0,
        "60",
    )
    live_memory: int = _setting(
        "LIVE_MEMORY",
        "MiB of events that each worker keeps in memory, beyond START_TIME_WINDOW hours, which it always keeps",
        _count,
        512,
    )
    live_reread: float = _setting(
        "LIVE_REREAD",
        "seconds after which the events of the last START_TIME_WINDOW hours are read again whole",
        _operation,
        3600.0,
        "3600",
    )
    lake_url: str | None = _setting(
        "LAKE_URL",
        "where events are exported to and old ones read from: a folder, s3://, gs:// or az://",
        _lake,
        None,
        "lake in DATA_DIR",
    )
    lake_sync_interval: float | None = _setting(
        "LAKE_SYNC_INTERVAL",
        "seconds after which the service brings the lake up to date, 0 for never",
        _seconds_or_never,
        None,
        "300 with the embedded PostgreSQL, else 0",
    )
    cache_type: str = _setting(
        "CACHE_TYPE", f"where answers are kept: {', '.join(CACHE_TYPES)}", _cache_type, CACHE_TYPES[0]
    )
    cache_default_timeout: int = _setting(
        "CACHE_DEFAULT_TIMEOUT", "seconds for which an answer is kept, while there is no newer one", _count, 60
    )
    cache_threshold: int = _setting(
        "CACHE_THRESHOLD", "how many answers SimpleCache (in each worker) and FileSystemCache keep", _count, 100
    )
    cache_dir: Path | None = _setting("CACHE_DIR", "folder of FileSystemCache", _folder, None, "none")
    cache_redis_url: str | None = _setting(
        "CACHE_REDIS_URL", "server of RedisCache, redis:// or rediss://", _redis, None, "none", secret=True
    )
    cache_key_prefix: str = _setting(
        "CACHE_KEY_PREFIX", "what the keys in a shared cache begin with", str, "leaderboard-"
    )
    catalyst_region_url: str | None = _setting(
        "CATALYST_REGION_URL",
        "JSON document whose regions are added as transcoding regions",
        _http,
        None,
        "none",
    )
    data_dir: Path = _setting(
        "DATA_DIR",
        "folder of the embedded PostgreSQL, kept between starts",
        _folder,
        _data_dir,
        "/var/lib/leaderboard for root, else leaderboard in the user's data folder",
    )

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings of the environment; an empty variable counts as not set.

        Raises SettingsError, one line that names the variable, for a value
        that cannot be read.
        """
        given = {}
        for setting in fields(cls):
            name, text = setting.metadata["name"], environment.get(setting.metadata["name"], "")
            if text.strip():
                try:
                    given[setting.name] = setting.metadata["parse"](text)
                except ValueError as error:
                    raise SettingsError(f"{name} {error}") from None
        settings = cls(**given)
        for cache_type, place in (("RedisCache", "cache_redis_url"), ("FileSystemCache", "cache_dir")):
            if settings.cache_type == cache_type and getattr(settings, place) is None:
                raise SettingsError(f"{place.upper()} is needed where CACHE_TYPE is {cache_type}")
        return settings

    @property
    def lake(self) -> str:
        """The folder or URL of the lake."""
        return self.lake_url or str(self.data_dir / "lake")

    @property
    def lake_is_ours(self) -> bool:
        """Whether somebody has said that the lake is the database's, or nobody can have meant another."""
        return self.lake_url is not None or self.postgres is None

    @property
    def sync_interval(self) -> float:
        """Seconds between two times that the service brings the lake up to date, 0 for never."""
        if self.lake_sync_interval is None:
            return EMBEDDED_SYNC_INTERVAL if self.postgres is None else 0.0
        return self.lake_sync_interval


def described() -> list[tuple[str, str, str]]:
    """Name, meaning and default of every setting, as the help and the README tell them."""
    return [tuple(setting.metadata[key] for key in ("name", "meaning", "shown")) for setting in fields(Settings)]


def unless_set(**variables: object) -> list[str]:
    """``NAME=value`` of those variables that the environment does not have."""
    return [f"{name}={value}" for name, value in variables.items() if name not in os.environ]
