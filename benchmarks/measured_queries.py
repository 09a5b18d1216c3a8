"""Each query twice: as a request to the service, and in plain SQL over the view ``event_details``."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import psycopg2.extensions

UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
"""The end of all windows and of the simulated results."""
DAYS = (1, 30, 365)
"""Lengths of the windows."""

DAILY_SCORES = "history of the network"
"""What the view scores_daily has as well."""

_WINDOW = "event_time >= %(since)s AND event_time <= %(until)s"
_AVERAGES = "avg(coalesce(success_rate, 0)), avg(coalesce(seg_duration, 0)), avg(coalesce(round_trip_time, 0))"
_MEANS = f"SELECT orchestrator, region_name, {_AVERAGES}"
_DAILY = f"SELECT date_trunc('day', event_time, 'UTC'), region_name, count(*), {_AVERAGES}"
_AI_JOB = "job_type_name = 'ai' AND payload->>'pipeline' = %(pipeline)s AND payload->>'model' = %(model)s"
SQL = {
    "transcoding scores": [
        f"{_MEANS} FROM event_details WHERE {_WINDOW} AND job_type_name = 'transcoding' GROUP BY 1, 2"
    ],
    "AI scores": [
        f"{_MEANS} FROM event_details WHERE {_WINDOW} AND {_AI_JOB} GROUP BY 1, 2",
        f"""SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY round_trip_time) FROM event_details
            WHERE {_WINDOW} AND {_AI_JOB} AND success_rate = 1 AND round_trip_time <> 0""",
    ],
    "raw results": [
        f"""SELECT payload FROM event_details WHERE {_WINDOW} AND job_type_name = 'transcoding'
            AND orchestrator = %(orchestrator)s ORDER BY event_time DESC"""
    ],
    "history of one orchestrator": [
        f"""{_DAILY} FROM event_details WHERE {_WINDOW} AND job_type_name = 'transcoding'
            AND orchestrator = %(orchestrator)s GROUP BY 1, 2 ORDER BY 1, 2"""
    ],
    DAILY_SCORES: [
        f"{_DAILY} FROM event_details WHERE {_WINDOW} AND job_type_name = 'transcoding' GROUP BY 1, 2 ORDER BY 1, 2"
    ],
    "ranking": [
        f"{_MEANS}, count(*), max(event_time) FROM event_details WHERE {_WINDOW} AND job_type_name = 'transcoding' "
        "GROUP BY 1, 2",
        f"""SELECT orchestrator, percentile_cont(array[0.5, 0.95]) WITHIN GROUP (ORDER BY round_trip_time)
            FROM event_details WHERE {_WINDOW} AND job_type_name = 'transcoding' AND success_rate = 1
            AND round_trip_time <> 0 GROUP BY 1""",
    ],
    "an orchestrator": [
        f"""SELECT job_type_name, region_name, payload->>'pipeline', payload->>'model', count(*), max(event_time),
            {_AVERAGES} FROM event_details WHERE {_WINDOW} AND orchestrator = %(orchestrator)s GROUP BY 1, 2, 3, 4""",
        f"""SELECT job_type_name, region_name, payload->>'errors', count(*), max(event_time) FROM event_details
            WHERE {_WINDOW} AND orchestrator = %(orchestrator)s GROUP BY 1, 2, 3""",
    ],
    "pipelines": [
        f"""SELECT payload->>'pipeline', array_agg(DISTINCT payload->>'model'), array_agg(DISTINCT region_name)
            FROM event_details WHERE {_WINDOW} AND payload ? 'pipeline' GROUP BY 1 ORDER BY 1"""
    ],
}


@dataclass(frozen=True, eq=False)
class MeasuredQuery:
    """One query over one window."""

    name: str
    days: int
    path: str
    sql: list[str]
    parameters: dict[str, Any]


def measured_queries(connection: psycopg2.extensions.connection) -> list[MeasuredQuery]:
    """Every query over every window, for an orchestrator and an AI job that the database has."""
    (orchestrator,) = _fetch_row(connection, "SELECT orchestrator FROM events WHERE NOT payload ? 'model' LIMIT 1")
    ai_job = "SELECT payload->>'pipeline', payload->>'model' FROM events WHERE payload ? 'model' LIMIT 1"
    pipeline, model = _fetch_row(connection, ai_job)
    endpoints: dict[str, tuple[str, dict[str, str]]] = {
        "transcoding scores": ("aggregated_stats", {}),
        "AI scores": ("aggregated_stats", {"pipeline": pipeline, "model": model}),
        "raw results": ("raw_stats", {"orchestrator": orchestrator}),
        "history of one orchestrator": ("score_history", {"interval": "1d", "orchestrator": orchestrator}),
        DAILY_SCORES: ("score_history", {"interval": "1d"}),
        "ranking": ("leaderboard", {}),
        "an orchestrator": (f"orchestrators/{orchestrator}", {}),
        "pipelines": ("pipelines", {}),
    }
    return [
        _measured_query(name, days, orchestrator, endpoint, filters)
        for name, (endpoint, filters) in endpoints.items()
        for days in DAYS
    ]


def _measured_query(name: str, days: int, orchestrator: str, endpoint: str, filters: dict[str, str]) -> MeasuredQuery:
    since = UNTIL - timedelta(days=days)
    query_string = urlencode({"since": since.timestamp(), "until": UNTIL.timestamp()} | filters)
    parameters = {"since": since, "until": UNTIL, "orchestrator": orchestrator} | filters
    return MeasuredQuery(name, days, f"/api/{endpoint}?{query_string}", SQL[name], parameters)


def _fetch_row(connection: psycopg2.extensions.connection, statement: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError("the database has too few events: there must be transcoding and AI results")
    return row
