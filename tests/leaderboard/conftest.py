"""A database at the other end of a network that may fail."""

from collections.abc import Iterator

import pytest
from flask import Flask
from psycopg2.extensions import parse_dsn

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.support.postgres import StoppablePostgres
from tests.support.relay import Relay, relay_to
from tests.support.service import SECRET


@pytest.fixture
def relay(stoppable_postgres: StoppablePostgres) -> Iterator[Relay]:
    """The network between a service and its database."""
    options = parse_dsn(stoppable_postgres.url)
    with relay_to(f"{options['host']}/.s.PGSQL.{options.get('port', 5432)}") as relay:
        yield relay


@pytest.fixture
def remote_settings(stoppable_postgres: StoppablePostgres, relay: Relay) -> Settings:
    """The settings of a service that reaches its database over the relay, and waits for it a second at most."""
    options = parse_dsn(stoppable_postgres.url)
    url = f"postgresql://{options['user']}@127.0.0.1:{relay.port}/{options['dbname']}?sslmode=disable"
    return Settings(lake_sync_interval=0, postgres=url, secret=SECRET, db_timeout=1)


@pytest.fixture
def remote_app(remote_settings: Settings) -> Iterator[Flask]:
    """A service with these settings."""
    app = create_app(remote_settings)
    yield app
    app.extensions["leaderboard"].close()
