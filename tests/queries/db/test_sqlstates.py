"""What each of PostgreSQL's error codes becomes, for both drivers. A function raises the codes on a real server."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from leaderboard.postgres.pool import Database
from queries.db import ArrowPool, DirectConnection
from queries.errors import ReadOnlyDatabase, SchemaMissing, StoreError, StoreTimeout, StoreUnavailable
from tests.conftest import clone, drop, rows

UNAVAILABLE = """
    08000 08003 08006 08P01 25000 25001 25P01 25P02 25P03 26000 28000 28P01 2D000 34000 40000 40001 40002 40003
    40P01 42501 42P03 42P05 53000 53100 53200 53300 53400 55000 55006 57000 57P01 57P02 57P03 57P05 58000 58030 58P01
    58P02 72000 F0000 F0001 HV000 HV00N XX000 XX001 XX002"""
SCHEMA_MISSING = "3D000 3F000 42P01 42703 57P04"
TIMEOUT = "25P04 55P03 57014"
STATEMENT_ERROR = """
    0A000 21000 22003 22021 22P02 22P05 23502 23503 23505 23514 2F000 38000 42601 42883 42P02 54000 54001 55P02 55P04
    P0001"""
CODES = {
    StoreUnavailable: UNAVAILABLE.split(),
    ReadOnlyDatabase: ["25006"],
    SchemaMissing: SCHEMA_MISSING.split(),
    StoreTimeout: TIMEOUT.split(),
    Exception: STATEMENT_ERROR.split(),
}
DRIVERS: dict[str, Callable[[str, str], object]] = {}


def driver(name: str) -> Callable[[Callable[[str, str], object]], Callable[[str, str], object]]:
    """Adds a way to run a statement at a URL to DRIVERS."""

    def add(run: Callable[[str, str], object]) -> Callable[[str, str], object]:
        DRIVERS[name] = run
        return run

    return add


@driver("arrow pool")
def read_arrow(url: str, statement: str) -> object:
    with closing(ArrowPool(url, timeout=20, connections=1)) as pool:
        return pool.read(statement)


@driver("direct connection")
def read_directly(url: str, statement: str) -> object:
    with closing(DirectConnection(url, 20)) as connection:
        return connection.run(statement)


@driver("database")
def run_in_pool(url: str, statement: str) -> object:
    with closing(Database(url, 20)) as database:
        return database.run(lambda cursor: cursor.execute(statement))


@pytest.fixture(scope="module")
def raising(server: str, template: str) -> Iterator[str]:
    """The URL of a database whose function ``fail`` raises a code."""
    url = clone(server, template, "sqlstates")
    rows(url, "CREATE FUNCTION fail(code text) RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'the reason' USING ERRCODE = code; END $$")  # fmt: skip
    yield url
    drop(server, "sqlstates")


@pytest.mark.parametrize("run", DRIVERS.values(), ids=DRIVERS.keys())
@pytest.mark.parametrize("error_type", CODES, ids=lambda error_type: error_type.__name__)
def test_each_code_has_its_meaning(
    raising: str, run: Callable[[str, str], object], error_type: type[Exception]
) -> None:
    found: dict[str, type[Exception]] = {}
    for code in CODES[error_type]:
        with pytest.raises(Exception, match="the reason") as failure:
            run(raising, f"SELECT fail('{code}') AS failed")
        found[code] = failure.type if isinstance(failure.value, StoreError) else Exception
    assert found == dict.fromkeys(CODES[error_type], error_type)


@pytest.mark.parametrize("run", DRIVERS.values(), ids=DRIVERS.keys())
def test_missing_database_is_a_missing_schema(server: str, run: Callable[[str, str], object]) -> None:
    with pytest.raises(SchemaMissing, match='is not available: database "nowhere" does not exist'):
        run(server.format("nowhere"), "SELECT 1")


@pytest.mark.parametrize("run", DRIVERS.values(), ids=DRIVERS.keys())
def test_plan_that_outlived_a_change_of_its_table_is_unavailable(
    raising: str, run: Callable[[str, str], object]
) -> None:
    rows(raising, "CREATE OR REPLACE FUNCTION stale() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'cached plan must not change result type' USING ERRCODE = '0A000'; END $$")  # fmt: skip
    with pytest.raises(StoreUnavailable, match="cached plan"):
        run(raising, "SELECT stale() AS failed")


@pytest.mark.parametrize("failing", ["fail('40001')", "pg_terminate_backend(pg_backend_pid())"])
def test_error_after_the_first_rows_is_no_shorter_result(raising: str, failing: str) -> None:
    with closing(ArrowPool(raising, timeout=20, connections=1)) as pool:
        statement = (
            "SELECT repeat('x', 200) AS x, CASE WHEN i = 90000 THEN {}::text END AS failed "
            "FROM generate_series(1, 100000) i"
        )
        with pytest.raises(StoreUnavailable, match=r"the reason|terminating connection"):
            pool.read(statement.format(failing))
        assert pool.read(statement.format("NULL")).num_rows == 100_000


def test_read_that_fails_with_its_connection_is_repeated_over_a_new_one(raising: str) -> None:
    with closing(ArrowPool(raising, timeout=20, connections=1)) as pool:
        (row,) = pool.read("SELECT pg_backend_pid() AS pid").to_pylist()
        statement = f"SELECT CASE WHEN pg_backend_pid() = {row['pid']} THEN fail('{{}}') ELSE 1 END AS done"
        assert pool.read(statement.format("40001")).to_pylist() == [{"done": 1}]


def test_read_without_disk_or_memory_is_not_repeated(raising: str) -> None:
    with closing(ArrowPool(raising, timeout=20, connections=1)) as pool:
        (row,) = pool.read("SELECT pg_backend_pid() AS pid").to_pylist()
        with pytest.raises(StoreUnavailable):
            pool.read(f"SELECT CASE WHEN pg_backend_pid() = {row['pid']} THEN fail('53100') ELSE 1 END AS done")
