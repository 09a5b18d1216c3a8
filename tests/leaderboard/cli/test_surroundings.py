"""What the environment sets changes neither what commands read nor what they write."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import rows
from tests.support.commands import run_leaderboard
from tests.support.service import SECRET

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:1"
"""Nothing listens there."""
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "C locale, libpq": {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
        "TZ": "Asia/Tokyo",
        "COLUMNS": "20",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "PGHOST": "nowhere.invalid",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": "1",
        "PGUSER": "nobody",
        "PGDATABASE": "nothing",
        "PGCLIENTENCODING": "LATIN1",
        "PGDATESTYLE": "German, DMY",
        "PGTZ": "Pacific/Marquesas",
        "PGOPTIONS": "-c search_path=pg_catalog -c standard_conforming_strings=off -c DateStyle=German "
        "-c TimeZone=America/Caracas -c extra_float_digits=-15 -c statement_timeout=500ms",
        "PGGEQO": "off",
        "PGAPPNAME": "odd",
        "PGTARGETSESSIONATTRS": "standby",
    },
    "missing locale, libraries": {
        "LC_ALL": "xx_YY.ISO-8859-1",
        "PYTHONIOENCODING": "latin-1",
        "PYTHONOPTIMIZE": "2",
        "POLARS_VERBOSE": "1",
        "POLARS_FMT_FLOAT": "full",
        "POLARS_FMT_MAX_ROWS": "1",
        "POLARS_FMT_STR_LEN": "1",
        "POLARS_ENGINE_AFFINITY": "streaming",
        "RUST_LOG": "trace",
        "http_proxy": NOBODY,
        "https_proxy": NOBODY,
        "TMPDIR": "/nonexistent",
    },
}
RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40, "success_rate": 1, "errors": [{"message": "é 日本"}]}
COMMANDS: dict[str, tuple[str, ...]] = {
    "scores": ("scores", "--since", "2026-09-01", "--until", "2026-10-01", "--json"),
    "export scores": ("export", "scores", "--month", "2026-09", "--to", "-", "--format", "csv"),
    "export raw": ("export", "raw", "--month", "2026-09", "--to", "-", "--format", "ndjson"),
    "sql": (
        "sql",
        "--format",
        "csv",
        "SELECT 'é 日本' AS text, event_time, event_time::VARCHAR AS shown, * FROM events ORDER BY id",
    ),
    "migrate status": ("migrate", "status"),
}


@pytest.fixture(scope="module")
def expected(events_database: str) -> dict[str, str]:
    """What each command prints in a plain environment."""
    return {
        name: round_numbers(run_leaderboard(*command, POSTGRES=events_database).stdout)
        for name, command in COMMANDS.items()
    }


def round_numbers(text: str) -> str:
    """The text without the last bits of means, which differ from run to run."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.9f}", text)


@pytest.mark.parametrize("surroundings", ENVIRONMENTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_environment_does_not_change_data(
    events_database: str, expected: dict[str, str], command: str, surroundings: str
) -> None:
    variables = {"POSTGRES": events_database, "LANG": ""} | ENVIRONMENTS[surroundings]
    done = run_leaderboard(*COMMANDS[command], **variables)
    assert (done.returncode, round_numbers(done.stdout)) == (0, expected[command])
    assert len(done.stdout) > 5


@pytest.mark.parametrize("surroundings", ENVIRONMENTS)
def test_environment_does_not_change_what_is_posted(
    service_url: str, database: str, tmp_path: Path, surroundings: str
) -> None:
    file = tmp_path / "results-é.json"
    file.write_text(json.dumps(RESULT, ensure_ascii=False), encoding="utf-8")
    done = run_leaderboard("post", "--url", service_url, str(file), SECRET=SECRET, **ENVIRONMENTS[surroundings])
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "1 posted, 0 refused")
    assert rows(database, "SELECT payload #>> '{errors,0,message}' FROM events") == [("é 日本",)]
