"""The connection string that all database drivers use."""

import re
from math import ceil, inf
from urllib.parse import unquote

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

MAX_SILENCE_SECONDS = 5
"""The database counts as unavailable when it takes longer than this to accept a connection or confirm data."""

MAX_WRITE_SILENCE_SECONDS = 60
"""A connection that writes gives up a host that has not confirmed data for this long. TCP alone takes 15 minutes."""
OPTION_HINTS = {
    "schema": "; to use another schema than public, add options=-csearch_path%3DSCHEMA",
    "currentSchema": "; to use another schema than public, add options=-csearch_path%3DSCHEMA",
    "pgbouncer": "; a pooler needs no option",
}
"""What to do instead of an option that other clients know."""

OPTION_VALUES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "gssencmode": ("disable", "prefer", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""The values of libpq's options that have few. With another one libpq would fail at each attempt to connect."""
INTEGER_OPTIONS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)


def conninfo(url: str, timeout: float, *, only_reads: bool = False) -> str:
    """The libpq connection string of a ``postgres://`` or ``postgresql://`` URL. Options in the URL win.

    ``timeout`` is the limit for connecting, in seconds. A connection that
    only reads soon gives up a host that vanished. A connection that writes
    waits for it longer, because nobody can tell what was written.

    Raises ValueError where libpq cannot read the URL. The message does not
    show the URL, because it may hold a password.
    """
    try:
        given = parse_dsn(url)
    except psycopg2.ProgrammingError:
        _check_options(url)
        raise ValueError(
            "not a PostgreSQL URL; valid is postgresql://user:password@host:5432/database, "
            "and /, : and @ in a password are written as %2F, %3A and %40"
        ) from None
    _check_host_and_port(given)
    _check_values(given)
    defaults: dict[str, str | int] = {
        "application_name": "leaderboard",
        # the URL alone says which server it is and how it is read, and not PGHOSTADDR, PGOPTIONS and the like
        "hostaddr": "",
        "options": "",
        "target_session_attrs": "any",
        # libpq counts whole seconds and treats 1 as 2
        "connect_timeout": max(2, min(MAX_SILENCE_SECONDS, ceil(timeout))),
        # together these give up a peer that vanished after about a minute
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    # whatever PGCLIENTENCODING, the role or the database say: the startup packet wins over them, through a pooler too
    given["client_encoding"] = "UTF8"
    if len(given.get("host", given.get("hostaddr", "")).split(",")) > 1:
        # reads from a standby, mixed with reads from its primary, could miss events
        defaults["target_session_attrs"] = "primary"
    # the keepalives cover an idle connection, and this one that has sent something
    defaults["tcp_user_timeout"] = (MAX_SILENCE_SECONDS if only_reads else MAX_WRITE_SILENCE_SECONDS) * 1000
    dsn: str = make_dsn(None, **(defaults | given))
    return dsn


def _check_values(options: dict[str, str]) -> None:
    """Raises ValueError where an option has a value that libpq does not accept."""
    for name, values in OPTION_VALUES.items():
        if options.get(name) and options[name] not in values:
            raise ValueError(f"{name} in the PostgreSQL URL must be one of {', '.join(values)}")
    for name in INTEGER_OPTIONS:
        if not re.fullmatch("-?[0-9]{1,9}", options.get(name, "0").strip()):
            raise ValueError(f"{name} in the PostgreSQL URL is not a whole number")


def connect_timeout(dsn: str) -> float:
    """How long connecting may take by a connection string of ``conninfo``, in seconds. As libpq, takes 1 as 2.

    >>> connect_timeout("host=db.example connect_timeout=1")
    2.0
    """
    seconds = int(parse_dsn(dsn)["connect_timeout"])
    # for libpq, 0 and less mean no limit
    return float(max(2, seconds)) if seconds > 0 else inf


def single_hosts(dsn: str) -> list[str]:
    """A connection string for each host of a connection string, in their order.

    >>> single_hosts("host=one,two port=1,2")
    ['host=one port=1', 'host=two port=2']
    """
    options = parse_dsn(dsn)
    lists = {name: options[name].split(",") for name in ("host", "hostaddr", "port") if options.get(name)}
    count = max(map(len, lists.values()), default=1)
    return [
        make_dsn(None, **(options | {name: values[min(number, len(values) - 1)] for name, values in lists.items()}))
        for number in range(count)
    ]


def _check_options(url: str) -> None:
    """Raises ValueError where the URL has an option that libpq does not know. The message names it."""
    # before an @ there may be a password
    query = url.rpartition("@")[2].partition("?")[2]
    for option in query.split("&"):
        name = unquote(option.partition("=")[0])
        if re.fullmatch("[A-Za-z_.]{1,40}", name) and not _is_known(name):
            raise ValueError(
                f"the PostgreSQL URL has the option {name}, which PostgreSQL's client library does not know; "
                f"remove {name} from the URL{OPTION_HINTS.get(name, '')}"
            )


def _is_known(option: str) -> bool:
    # ssl is an alias of sslmode in URLs alone
    try:
        parse_dsn(f"postgresql://localhost/?{option}=true")
    except psycopg2.ProgrammingError:
        return False
    return True


def _check_host_and_port(options: dict[str, str]) -> None:
    """Raises ValueError where a part of the password is taken for the host or the port, which errors would show."""
    if "@" in options.get("host", ""):
        raise ValueError("the PostgreSQL URL has more than one @; write @ in a password as %40")
    if not all(re.fullmatch("[0-9]{0,5}", port) for port in options.get("port", "").split(",")):
        raise ValueError("the port in the PostgreSQL URL is not a number; write / and : in a password as %2F and %3A")


def database_label(dsn: str) -> str:
    """The database that a URL or connection string leads to, for error sentences. It has no user and no password.

    >>> database_label("postgresql://user:password@db.example/leaderboard")
    'the database leaderboard at db.example:5432'
    """
    options = parse_dsn(dsn)
    hosts = (options.get("host") or options.get("hostaddr") or "localhost").split(",")
    ports = (options.get("port") or "5432").split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    addresses = ", ".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=True))
    name = options.get("dbname")
    return f"the database {name} at {addresses}" if name else f"the database at {addresses}"
