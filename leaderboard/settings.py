"""The settings. They are read from the environment once, checked once, and passed on.

Written by hand because pydantic-settings alone takes the 0.3 s that
``leaderboard --help`` may take, and environs has no descriptions, treats an
empty variable as a wrong value, and would leave most of this module in place.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, get_type_hints

from leaderboard import setting_parsers as parsers
from leaderboard.setting_parsers import CACHE_TYPES, LOG_LEVELS
from queries import FORMULA_2, FORMULAS, Formula

LOCAL_ADDRESSES = "localhost,127.0.0.1,::1"
MIN_CONNECTIONS = 4
NEW_NAMES = {"LIVE_MEMORY": "LIVE_MEMORY_MIB", "LIVE_REREAD": "LIVE_RELOAD_INTERVAL"}
"""Settings of older releases, and what they are called now."""

_hours = parsers.number(0.001, 10_000_000)
_operation_seconds = parsers.number(0.001, 86_400)
_seconds_or_never = parsers.number(0, 86_400)
_port = parsers.whole_number(0, 65_535)
_worker_count = parsers.whole_number(1, 1_000)
_cache_seconds = parsers.number(0, 31_536_000)


class SettingsError(ValueError):
    """A setting has a wrong value. The message is one line that names the setting."""


@dataclass(frozen=True)
class Setting:
    """What is known of a setting besides its type and its default.

    ``shown_default`` is for a default that depends on something else.
    """

    description: str
    parse: Callable[[str], Any]
    shown_default: str | None = None


class SettingDescription(NamedTuple):
    """A setting as the help and the documentation show it."""

    name: str
    description: str
    default: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of the service. ``Settings.load()`` reads them from the environment.

    The variable of a field has the field's name in upper case.
    """

    postgres: Annotated[
        str | None,
        Setting(
            "URL of the database, postgres:// or postgresql://; a database that does not exist is created",
            parsers.postgres_url,
            "an embedded PostgreSQL in DATA_DIR",
        ),
    ] = field(default=None, repr=False)
    secret: Annotated[str | None, Setting("HMAC key for posting", parsers.text, "posting is off")] = field(
        default=None, repr=False
    )
    start_time_window: Annotated[
        float, Setting("hours that a request looks back if it names neither since nor until", _hours)
    ] = 24.0
    formula: Annotated[
        Formula,
        Setting(
            f"number of the formula that scores unless a request names another: {', '.join(map(str, FORMULAS))}",
            parsers.one_of({str(number): formula for number, formula in FORMULAS.items()}),
            FORMULA_2.name,
        ),
    ] = FORMULA_2
    db_timeout: Annotated[float, Setting("seconds for one database operation", _operation_seconds)] = 20.0
    port: Annotated[int, Setting("port to listen on, unless an option says otherwise", _port)] = 8080
    web_concurrency: Annotated[
        int | None,
        Setting("worker processes, unless an option says otherwise", _worker_count, "one per core, 2 to 8"),
    ] = None
    db_connections: Annotated[
        int,
        Setting(
            f"the most connections of each worker to the database, at least {MIN_CONNECTIONS}",
            parsers.whole_number(MIN_CONNECTIONS, 1000),
        ),
    ] = 7
    log_level: Annotated[str, Setting(", ".join(LOG_LEVELS), parsers.choice(LOG_LEVELS, upper=True))] = "INFO"
    regions_cache_timeout: Annotated[float, Setting("seconds to cache the list of regions", _cache_seconds)] = 60.0
    pipelines_cache_timeout: Annotated[float, Setting("seconds to cache the list of pipelines", _cache_seconds)] = 60.0
    live_memory_mib: Annotated[
        int,
        Setting(
            "MiB of events that each worker keeps in memory while they are not in the lake, besides those of the last "
            "START_TIME_WINDOW hours, which it always keeps",
            parsers.count,
        ),
    ] = 512
    decoded_lake_mib: Annotated[
        int,
        Setting(
            "MiB of the lake's events that are kept decoded in DATA_DIR, for all processes of this machine; "
            "older ones are read from the lake itself",
            parsers.count,
        ),
    ] = 16_384
    live_reload_interval: Annotated[
        float,
        Setting("seconds after which the events of the last START_TIME_WINDOW hours are reloaded", _operation_seconds),
    ] = 3600.0
    lake_url: Annotated[
        str | None,
        Setting(
            "where events are exported to and old events are read from: a folder, s3://, gs:// or az://",
            parsers.lake_url,
            "a folder in DATA_DIR for each database",
        ),
    ] = None
    lake_sync_interval: Annotated[
        float, Setting("seconds between two updates of the lake by the service, 0 for no updates", _seconds_or_never)
    ] = 300.0
    cache_type: Annotated[
        str, Setting(f"where responses are cached: {', '.join(CACHE_TYPES)}", parsers.choice(CACHE_TYPES))
    ] = CACHE_TYPES[0]
    cache_default_timeout: Annotated[
        int, Setting("seconds to cache a response, unless newer events replace it earlier", parsers.count)
    ] = 60
    cache_threshold: Annotated[
        int, Setting("most responses that SimpleCache (in each worker) and FileSystemCache keep", parsers.count)
    ] = 100
    cache_memory_mib: Annotated[
        int,
        Setting(
            "MiB of responses that SimpleCache keeps in each worker; no cache keeps a response of more than an eighth",
            parsers.count,
        ),
    ] = 64
    cache_dir: Annotated[Path | None, Setting("folder of FileSystemCache", parsers.folder, "none")] = None
    cache_redis_url: Annotated[
        str | None,
        Setting("server of RedisCache, redis:// or rediss://", parsers.url("redis", "rediss", "unix"), "none"),
    ] = field(default=None, repr=False)
    cache_key_prefix: Annotated[str, Setting("prefix of the keys in a shared cache", parsers.text)] = "leaderboard-"
    catalyst_region_url: Annotated[
        str | None,
        Setting("JSON document whose regions are added to the registered ones", parsers.url("http", "https"), "none"),
    ] = None
    auto_register_regions: Annotated[
        bool,
        Setting("true or false: whether a correctly signed result registers its region", parsers.switch, "false"),
    ] = False
    pages: Annotated[
        bool, Setting("true or false: whether browsers get pages beside the API under /api/", parsers.switch, "true")
    ] = True
    data_dir: Annotated[
        Path,
        Setting(
            "folder of the embedded PostgreSQL, kept between starts",
            parsers.folder,
            "leaderboard in the user's data folder; /var/lib/leaderboard for root and users without a home",
        ),
    ] = field(default_factory=parsers.default_data_dir)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings of ``environment``, by default of this process's. An empty variable counts as not set.

        Raises SettingsError for a value that is wrong or missing, and for a
        variable that has a new name.
        """
        variables = _read_environment() if environment is None else environment
        given = {name: value for name, value in variables.items() if value.strip()}
        for old_name, new_name in NEW_NAMES.items():
            if old_name in given:
                raise SettingsError(f"{old_name} is now called {new_name}: rename the variable")
        settings = cls(**{name: _parse(name, given[name.upper()]) for name in _settings() if name.upper() in given})
        for cache_type, place in (("RedisCache", "cache_redis_url"), ("FileSystemCache", "cache_dir")):
            if settings.cache_type == cache_type and getattr(settings, place) is None:
                raise SettingsError(f"{place.upper()} is required if CACHE_TYPE is {cache_type}")
        return settings

    @property
    def lake(self) -> str:
        """The folder or URL of the lake. Without LAKE_URL, each database has a folder of its own in DATA_DIR.

        ``lake`` is that of the embedded database. Older releases had every
        database's lake there. Such a lake stays in use where DATA_DIR has no
        embedded database, because it may have results that were pruned.
        """
        if self.lake_url is not None:
            return self.lake_url
        if self.postgres is None or self._has_older_lake:
            return str(self.data_dir / "lake")
        return str(self.data_dir / f"lake-{_database_hash(self.postgres)}")

    @property
    def decoded_lake_folder(self) -> Path:
        """The folder of the lake's decoded files. Each lake has its own."""
        return self.data_dir / "decoded" / blake2b(self.lake.encode(), digest_size=8).hexdigest()

    @property
    def lake_is_of_database(self) -> bool:
        """Whether the lake belongs to the database, so far as settings can tell.

        An older release may have made a lake in DATA_DIR for any database.
        """
        return self.lake_url is not None or self.postgres is None or not self._has_older_lake

    @property
    def _has_older_lake(self) -> bool:
        folder, embedded = self.data_dir / "lake", self.data_dir / "postgres"
        # a folder that may not be read has none
        return os.path.isdir(folder / "_delta_log") and not os.path.exists(embedded)


def describe_settings() -> list[SettingDescription]:
    """Every setting, in the order of the documentation."""
    defaults = {f.name: f.default for f in fields(Settings)}
    return [
        SettingDescription(name.upper(), setting.description, setting.shown_default or _show(defaults[name]))
        for name, setting in _settings().items()
    ]


def missing_variables(**defaults: object) -> list[str]:
    """``NAME=value`` of each variable that the environment does not have."""
    return [f"{name}={value}" for name, value in defaults.items() if name not in os.environ]


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: that of this process, with these variables set as well."""
    return os.environ | variables


def server_environment() -> dict[str, str]:
    """The environment of the embedded PostgreSQL: this process's, without what would change how it reads and writes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG", "TZ"))}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def reach_local_addresses_directly() -> None:
    """Keeps the proxy of ``http_proxy`` out of connections of this process and its children to their own machine."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    # alone, a star means every address
    if given.strip() != "*" and LOCAL_ADDRESSES not in given:
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (given, LOCAL_ADDRESSES)))


@cache
def _settings() -> dict[str, Setting]:
    """The settings by the names of their fields."""
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(Settings, include_extras=True).items()}


def _read_environment() -> dict[str, str]:
    """The variables of this process, which are UTF-8 whatever its locale says."""
    return {name: os.fsencode(value).decode("utf-8", "surrogateescape") for name, value in os.environ.items()}


def _database_hash(url: str) -> str:
    """A hash of the host, port and name of a database."""
    # imported here, so that a start without POSTGRES stays quick
    from queries.db import database_label

    return blake2b(database_label(url).encode(), digest_size=6).hexdigest()


def _parse(name: str, value: str) -> Any:
    if not parsers.is_utf8(value):
        raise SettingsError(f"{name.upper()} must be UTF-8")
    try:
        return _settings()[name].parse(value)
    except ValueError as error:
        raise SettingsError(f"{name.upper()} {error}") from None


def _show(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)
