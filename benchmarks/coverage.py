"""How often the 95 % intervals of scores contain the true score, on made events.

``python -m benchmarks.coverage --samples 1000`` prints the share of intervals
that do, for each kind of job, number of events in a region and true success
rate. The orchestrators of one kind and distribution are one network: they run
the same model, and differ in their numbers of events and their success rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, log
from statistics import NormalDist, fmean, median

import click
import polars as pl

from queries import AI, TRANSCODING, EventFilter, conform, ranking

PIPELINES = {"transcoding": None, "AI": "text-to-image", "live video": "live-video-to-video"}
EVENTS = (3, 5, 10, 30, 100, 300)
SUCCESS_RATES = (0.3, 0.5, 0.7, 0.9, 0.95, 1.0)
REGIONS = ("FRA", "LAX", "SEA")
SEGMENT_SECONDS = 2.0
_NORMAL = [NormalDist().inv_cdf((place + 0.5) / 400) for place in range(400)]
_UNIFORM = [(place + 0.5) / 1000 for place in range(1000)]


@dataclass(frozen=True)
class Distribution:
    """Times and qualities of successful jobs, each value as likely as the others."""

    name: str
    seconds: list[float]
    qualities: list[float]
    failed_factor: float
    """How many times as long failed jobs take."""


DISTRIBUTIONS = (
    Distribution("lognormal", [exp(0.5 * z) for z in _NORMAL], [1 / (1 + exp(-1.5 - z)) for z in _NORMAL], 2.0),
    Distribution("two points", [1.0, 1.0, 1.0, 4.0], [0.95, 0.95, 0.95, 0.3], 0.0),
)


def measure_coverage(kind: str, distribution: Distribution, samples: Mapping[int, int], seed: int) -> pl.DataFrame:
    """The share of intervals that contain the true score, as ``coverage``, and their mean ``width``.

    One row per number of ``regions`` (1 and 3), of ``events`` in each region, and
    true success ``rate``. ``samples`` says of how many orchestrators each row is,
    by the number of events. ``kind`` is a key of PIPELINES.
    """
    events = _make_events(kind, distribution, samples, seed)
    truths = [_true_score(kind, distribution, rate) for rate in SUCCESS_RATES]
    rates = pl.DataFrame({"rate": SUCCESS_RATES, "truth": truths})
    names = pl.col("orchestrator").str.split("/")
    low, high = pl.col("score_ci_low"), pl.col("score_ci_high")
    shares = []
    for regions, region in ((1, REGIONS[0]), (len(REGIONS), None)):
        job_type = TRANSCODING if PIPELINES[kind] is None else AI
        rows = ranking(events, EventFilter(job_type=job_type, region=region)).with_columns(
            events=names.list.get(0).cast(pl.Int64), rate=names.list.get(1).cast(pl.Float64)
        )
        contains = pl.col("truth").is_between(low, high)
        share = (
            rows.join(rates, on="rate")
            .group_by("events", "rate")
            .agg(contains.mean().alias("coverage"), width=(high - low).mean())
        )
        columns = {"kind": kind, "distribution": distribution.name, "regions": regions}
        shares.append(share.select(*(pl.lit(value).alias(name) for name, value in columns.items()), pl.all()))
    return pl.concat(shares).sort("regions", "events", "rate")


def _make_events(kind: str, distribution: Distribution, samples: Mapping[int, int], seed: int) -> pl.DataFrame:
    """Events of orchestrators whose names say the number of events in a region, the success rate, and the sample."""
    orchestrators = pl.DataFrame(
        [(events, rate, number) for events in EVENTS for rate in SUCCESS_RATES for number in range(samples[events])],
        schema={"events": pl.Int64, "rate": pl.Float64, "sample": pl.Int64},
        orient="row",
    )
    regions = pl.DataFrame({"region": REGIONS})
    jobs = orchestrators.join(regions, how="cross").with_columns(id=pl.int_ranges("events")).explode("id")
    live = kind == "live video"
    values = _draw(distribution.qualities if live else distribution.seconds, len(jobs), seed)
    succeeds = _draw(_UNIFORM, len(jobs), seed + 1) < pl.col("rate")
    failed_factor = 0.0 if live else distribution.failed_factor
    return conform(
        jobs.select(
            "id",
            "region",
            event_time=datetime(2026, 9, 1, tzinfo=UTC),
            orchestrator=pl.format("{}/{}/{}", "events", "rate", "sample"),
            job_type=pl.lit(TRANSCODING if PIPELINES[kind] is None else AI),
            pipeline=pl.lit(PIPELINES[kind], dtype=pl.String),
            model=pl.lit(None if PIPELINES[kind] is None else "model", dtype=pl.String),
            success_rate=succeeds.cast(pl.Float64),
            round_trip_time=values * pl.when(succeeds).then(1.0).otherwise(failed_factor),
            seg_duration=pl.lit(SEGMENT_SECONDS),
        )
    )


def _draw(values: list[float], count: int, seed: int) -> pl.Series:
    return pl.Series(values).sample(count, with_replacement=True, shuffle=True, seed=seed)


def _true_score(kind: str, distribution: Distribution, rate: float) -> float:
    """The score of infinitely many events; the network's median is that of the distribution."""
    if kind == "live video":
        return rate * (0.65 + 0.35 * fmean(distribution.qualities))
    seconds = fmean(distribution.seconds) * (rate + (1 - rate) * distribution.failed_factor)
    if kind == "transcoding":
        return rate * (1 - exp(-SEGMENT_SECONDS / seconds))
    return 0.65 * rate + 0.35 * exp(log(0.8) * seconds / median(distribution.seconds))


@click.command()
@click.option("--samples", default=1000, show_default=True, type=click.IntRange(1), help="Orchestrators per row.")
@click.option("--seed", default=1, show_default=True, help="Another one gives other events.")
def main(samples: int, seed: int) -> None:
    """Prints the coverage of the intervals, for one and for three regions."""
    shares = pl.concat(
        measure_coverage(kind, distribution, dict.fromkeys(EVENTS, samples), seed)
        for kind in PIPELINES
        for distribution in DISTRIBUTIONS
    )
    table = shares.pivot("rate", index=["kind", "distribution", "regions", "events"], values="coverage")
    with pl.Config(
        tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=3
    ):
        print(table)


if __name__ == "__main__":
    main()
