"""``leaderboard database``."""

import shutil
import signal
import subprocess
import sys

import click

from leaderboard.cli.stores import open_database, open_migrated_database
from leaderboard.settings import Settings, child_environment

LIBPQ_VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "client_encoding": "PGCLIENTENCODING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
    "gssencmode": "PGGSSENCMODE",
    "gsslib": "PGGSSLIB",
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "krbsrvname": "PGKRBSRVNAME",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "password": "PGPASSWORD",
    "port": "PGPORT",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "service": "PGSERVICE",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "sslcert": "PGSSLCERT",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslsni": "PGSSLSNI",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
"""The environment variable of each libpq parameter that has one (PostgreSQL's manual, "Environment Variables")."""


@click.group()
def database() -> None:
    """Prints the database's URL, or opens psql on it."""


@database.command()
@click.pass_obj
def url(settings: Settings) -> None:
    """Prints the URL of the database that the settings name, with its password.

    The embedded database has a URL too. It accepts connections while a command
    such as "leaderboard serve" or "leaderboard database psql" runs.
    """
    if settings.postgres is not None:
        click.echo(settings.postgres)
        return
    from leaderboard.postgres.embedded import EmbeddedPostgres

    embedded = EmbeddedPostgres(settings.data_dir)
    click.echo(embedded.url)
    if not embedded.is_running():
        click.echo("the embedded PostgreSQL is not running; leaderboard serve and other commands start it", err=True)


@database.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["--help"]}
)
@click.argument("arguments", metavar="[ARGS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Opens psql on the database that the settings name.

    ARGS go to psql, for example -c "SELECT count(*) FROM events". The embedded
    database runs until psql ends. Uses the psql on PATH, or else the one that
    comes with the embedded database.
    """
    # in an interactive psql, Ctrl-C cancels a statement; it must not end this process
    signal.signal(signal.SIGINT, lambda *_: None)
    # not in the arguments, because every user of the machine can read these
    environment = child_environment(_libpq_environment(_open(settings)))
    sys.exit(subprocess.run([_find_psql(), *arguments], env=environment, check=False).returncode)


def _open(settings: Settings) -> str:
    # a new embedded server has no database yet; the schema of any other one is left alone
    return open_migrated_database(settings) if settings.postgres is None else open_database(settings)


def _libpq_environment(database_url: str) -> dict[str, str]:
    """The environment variables that have libpq connect as the URL says. Parameters without a variable are left out."""
    from psycopg2.extensions import parse_dsn

    parameters = parse_dsn(database_url)
    # these of the environment may lead elsewhere
    unset = {"PGHOSTADDR": "", "PGOPTIONS": "", "PGTARGETSESSIONATTRS": "any"}
    return unset | {LIBPQ_VARIABLES[name]: value for name, value in parameters.items() if name in LIBPQ_VARIABLES}


def _find_psql() -> str:
    if found := shutil.which("psql"):
        return found
    from leaderboard.postgres.programs import psql_path

    return str(psql_path())
