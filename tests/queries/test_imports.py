"""The library is imported quickly, because it loads what is heavy at first use."""

import json
import subprocess
import sys

import pytest

HEAVY = ("adbc_driver_postgresql", "deltalake", "duckdb", "leaderboard", "narwhals", "polars", "pyarrow", "sqlalchemy")
CODE = "import json, sys; exec(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"


def loaded_by(statement: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", CODE, statement], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout)) & set(HEAVY)


@pytest.mark.parametrize(
    "statement",
    [
        "import queries",
        "from queries import StoreError, STORE_SCHEMES",
        "from queries.errors import StoreUnavailable",
        "from queries.times import parse_moment",
        "from queries.concurrency import call_with_timeout",
        "from queries.db import conninfo, database_label, translate_psycopg2_error",
    ],
)
def test_light_import_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) == set()


def test_heavy_import_is_noticed() -> None:
    assert {"polars", "pyarrow", "deltalake"} <= loaded_by("from queries import open_events")


def test_every_exported_name_can_be_imported() -> None:
    code = "import queries, queries.db; [getattr(p, n) for p in (queries, queries.db) for n in dir(p)]"
    assert "duckdb" in loaded_by(code)
