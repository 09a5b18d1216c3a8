"""The values of the settings, without secrets."""

from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from leaderboard.settings import Settings, describe_settings
from queries import Formula

SET, NOT_SET = "set", "not set"


class SettingValue(NamedTuple):
    """A setting with its value as anybody may see it. Without one of its own, ``value`` is the default."""

    name: str
    value: str
    is_default: bool
    description: str


def setting_values(settings: Settings) -> list[SettingValue]:
    """Every setting, in the order of the documentation.

    The fields that ``repr`` leaves out may hold secrets: of these, a URL shows
    its host and database, and anything else only whether it is set. Other URLs
    show no user, password or query either.
    """
    secret_names = {field.name for field in fields(settings) if not field.repr}
    values = []
    for name, description, default in describe_settings():
        value = getattr(settings, name.lower())
        is_default = _show(value) == default or value is None
        shown = _hide(value) if name.lower() in secret_names else default if value is None else _show(value)
        values.append(SettingValue(name, shown, is_default, description))
    return values


def place_of(url: str) -> str:
    """The host of a URL and its database, bucket or folder; SET where it cannot be read for certain."""
    if url.startswith(("postgres://", "postgresql://")):
        return _database_of(url)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return SET
    # a slash in a password would make the rest of it a path
    return SET if "@" in parts.path else f"{parts.scheme}://{host}{parts.path}"


def _hide(value: Any) -> str:
    if value is None:
        return NOT_SET
    return place_of(value) if isinstance(value, str) and "://" in value else SET


def _show(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case Formula():
            return value.name
        case Path():
            return str(value)
        case str() if "://" in value:
            return place_of(value)
    return str(value)


def _database_of(url: str) -> str:
    try:
        given = parse_dsn(url)
    except ProgrammingError:
        return SET
    database = given.get("dbname", "of its user")
    if "@" in database:
        return SET
    hosts = given.get("host", given.get("hostaddr", "this machine")).split(",")
    ports = given.get("port", "").split(",")
    of_hosts = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    places = [f"{host}:{port}" if port else host for host, port in zip(hosts, of_hosts, strict=True)]
    return f"{', '.join(places)}, database {database}"
