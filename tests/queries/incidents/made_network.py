"""A small made network: in each region, every orchestrator is tested once an hour."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl

from queries import TRANSCODING, conform

BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = 7
REGIONS = ("FRA", "NYC", "SIN")
ORCHESTRATORS = 8


@dataclass(frozen=True)
class Fault:
    """What goes wrong from one hour of the network's time until another, where it is of these regions.

    ``kind`` is that of an incident. It concerns the first ``orchestrators`` ones.
    """

    kind: str
    first_hour: float
    end_hour: float
    regions: tuple[str, ...] = ("FRA",)
    orchestrators: int = ORCHESTRATORS

    @property
    def begin(self) -> datetime:
        return BEGIN + timedelta(hours=self.first_hour)

    @property
    def end(self) -> datetime:
        return BEGIN + timedelta(hours=self.end_hour)

    def covers(self) -> pl.Expr:
        """Whether it concerns an event."""
        in_time = (pl.col("event_time") >= self.begin) & (pl.col("event_time") < self.end)
        return in_time & pl.col("region").is_in(self.regions) & (pl.col("number") < self.orchestrators)


def make_network(*faults: Fault, seed: int = 1, days: float = DAYS, job_type: str = TRANSCODING) -> pl.DataFrame:
    """The events of the network. 5 % of the jobs fail, more of the first orchestrator's, and times vary by a factor."""
    random = Random(seed)
    rows = [
        (BEGIN + timedelta(hours=hour + random.random()), f"0x{number:040x}", region, number, random.random(),
         random.lognormvariate(0, 0.25))
        for hour in range(round(days * 24))
        for region in REGIONS
        for number in range(ORCHESTRATORS)
    ]  # fmt: skip
    schema = ["event_time", "orchestrator", "region", "number", "draw", "noise"]
    events = pl.DataFrame(rows, schema=schema, orient="row").sort("event_time").with_row_index("id")
    usual_failures = pl.when(pl.col("number") == 0).then(0.3).otherwise(0.05)
    failed, slow, silent = (
        pl.any_horizontal(pl.lit(value=False), *(fault.covers() for fault in faults if fault.kind == kind))
        for kind in ("failures", "slowness", "silence")
    )
    fails = pl.when(failed).then(0.9).otherwise(usual_failures) > pl.col("draw")
    ai = job_type != TRANSCODING
    return conform(
        events.filter(~silent).select(
            pl.col("id").cast(pl.Int64),
            "event_time",
            "orchestrator",
            "region",
            job_type=pl.lit(job_type),
            pipeline=pl.lit("llm" if ai else None, pl.String),
            model=pl.lit("small" if ai else None, pl.String),
            success_rate=pl.when(fails).then(0.0).otherwise(1.0),
            # each orchestrator has a speed of its own
            round_trip_time=(1 + pl.col("number")) * pl.col("noise") * pl.when(slow).then(4.0).otherwise(1.0),
            seg_duration=pl.lit(2.0),
        )
    )
