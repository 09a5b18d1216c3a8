"""What goes wrong with testers: spans in which one of them fails, is slow, or is silent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from random import Random

import polars as pl

from leaderboard.simulation.places import OLDER_AI_REGIONS, REGIONS
from queries import AI

FAILURES, SLOWNESS, SILENCE = KINDS = ("failures", "slowness", "silence")
DAYS_BETWEEN = 4
"""There is one incident in every so many days."""
MIN_HOURS = {FAILURES: 6, SLOWNESS: 8, SILENCE: 18}
MAX_HOURS = {FAILURES: 18, SLOWNESS: 24, SILENCE: 48}


@dataclass(frozen=True)
class Incident:
    """A span (``begin`` inclusive, ``end`` exclusive) in which the tester of one region and job type is at fault.

    ``kind`` is ``failures`` (nearly every job fails), ``slowness`` (every job
    takes several times as long) or ``silence`` (it posts nothing).
    """

    begin: datetime
    end: datetime
    region: str
    job_type: str
    kind: str


def draw_incidents(random: Random, since: datetime, until: datetime, job_types: list[str]) -> list[Incident]:
    """One incident in every DAYS_BETWEEN full days, sorted by time. No two overlap.

    Every kind comes to every job type before one comes again.
    """
    found: list[Incident] = []
    while (period_end := since + timedelta(days=DAYS_BETWEEN * (len(found) + 1))) <= until:
        if len(found) % (len(KINDS) * len(job_types)) == 0:
            order = random.sample(list(product(job_types, KINDS)), len(KINDS) * len(job_types))
        job_type, kind = order[len(found) % len(order)]
        region = random.choice([region for region in REGIONS[job_type] if not _is_older(region, job_type)])
        length = timedelta(hours=random.uniform(MIN_HOURS[kind], MAX_HOURS[kind]))
        # whole seconds, as results have them
        length = timedelta(seconds=round(length.total_seconds()))
        spare = timedelta(days=DAYS_BETWEEN) - length
        begin = period_end - length - timedelta(seconds=round(random.random() * spare.total_seconds()))
        found.append(Incident(begin, begin + length, region, job_type, kind))
    return found


def with_incidents(tests: pl.DataFrame, incidents: list[Incident], job_type: str) -> pl.DataFrame:
    """Tests of one job type, sorted by ``moment``, with the column ``incident``: its kind, or null."""
    spans = pl.DataFrame(
        [(span.begin, span.end, span.region, span.kind) for span in incidents if span.job_type == job_type],
        schema={
            "begin": pl.Datetime("us", "UTC"),
            "incident_end": pl.Datetime("us", "UTC"),
            "region": pl.String,
            "incident": pl.String,
        },
        orient="row",
    )
    joined = tests.join_asof(
        spans.sort("begin"), left_on="moment", right_on="begin", by="region", check_sortedness=False
    )
    ended = pl.col("moment") >= pl.col("incident_end")
    return joined.with_columns(incident=pl.when(~ended).then("incident")).drop("incident_end")


def _is_older(region: str, job_type: str) -> bool:
    """Whether the tester works so seldom that nobody could tell an incident from chance."""
    return job_type == AI and region in OLDER_AI_REGIONS
