"""Made results, as a network of orchestrators and testers would produce them.

Everything follows from the seed. Each orchestrator has a reliability and a
speed of its own, which drift over weeks, and a distance from each region;
testers are busier by day than by night.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from math import pi, sin
from random import Random

import polars as pl

from queries import AI, TRANSCODING

REGIONS = {
    TRANSCODING: (
        *("ATL", "ATL2", "MDW", "FRA", "HOU", "LON", "LAX", "MAD", "MIA", "MOS2", "ASH"),
        *("NYC", "PRG", "SJO", "SAO", "SEA", "SIN", "STO", "SYD", "HND", "TOR"),
    ),
    AI: ("GLOBAL", "MDW", "FRA", "LAX"),
}
ERROR_CODES = ("OrchestratorCapped", "NoOrchestrators", "Download", "TranscodeLoopError", "EarlyTermination")
AI_ERROR_CODE = "HTTP-STATUS-503"
SEGMENTS, RENDITIONS, SEGMENT_SECONDS = 15, 4, 2.0
BATCH = 50_000
DRAWS = ("o", "r", "k", "s", "t", "e", "a")
"""Numbers drawn per job: orchestrator, region, kind, success, time, everything else, AI."""
DAY = 86_400.0


@dataclass(frozen=True)
class Simulation:
    """What is made: ``events`` results received between ``since`` and ``until``, ``ai`` (0..1) of them of AI jobs."""

    events: int
    since: datetime
    until: datetime
    seed: int = 1
    orchestrators: int = 100
    ai: float = 0.2

    def frames(self) -> Iterator[pl.DataFrame]:
        """The results in the order of their times, in frames of about 50,000.

        Columns: event_time (Datetime(us, UTC)), orchestrator, region,
        job_type, payload (String, the result as JSON).
        """
        random = Random(self.seed)
        network = json.loads((files("leaderboard.simulation") / "network.json").read_text(encoding="utf-8"))
        nodes = _nodes(random, network["orchestrators"], self.orchestrators)
        jobs = pl.DataFrame(network["jobs"]).with_columns(
            seconds=pl.Series([0.5 + 8 * random.random() for _ in network["jobs"]])
        )
        for times in _times(random, self.since, self.until, self.events):
            draws = pl.DataFrame({"moment": times} | {name: [random.random() for _ in times] for name in DRAWS})
            is_ai = pl.col("a") < self.ai
            parts = (_transcoding(draws.filter(~is_ai), nodes), _ai(draws.filter(is_ai), nodes, jobs))
            yield pl.concat(parts).sort("event_time")


def _nodes(random: Random, known: list[str], count: int) -> pl.DataFrame:
    """One row per orchestrator: its address and its habits."""
    addresses = [*known, *(f"0x{random.getrandbits(160):040x}" for _ in range(count))][:count]
    return pl.DataFrame(
        [
            {
                "orchestrator": address,
                # most are good, some are bad
                "reliability": 1 - random.random() ** 4 * 0.8,
                "slowness": 0.4 + random.random() ** 2 * 3,
                "wobble": random.random() * 0.3,
                "period": (10 + 40 * random.random()) * DAY,
                "phase": 2 * pi * random.random(),
                "home": random.random(),
            }
            for address in addresses
        ]
    )


def _times(random: Random, since: datetime, until: datetime, count: int) -> Iterator[list[datetime]]:
    """Sorted moments in batches; an hour at noon (UTC) has three times those of one at midnight."""
    begin, span = since.timestamp(), (until - since).total_seconds()
    hours = max(1, round(span / 3600))
    weights = [1 - 0.5 * sin(2 * pi * ((begin + (hour + 0.5) * span / hours) / DAY + 0.25)) for hour in range(hours)]
    total, so_far, made = sum(weights), 0.0, 0
    batch: list[float] = []
    for hour, weight in enumerate(weights):
        so_far += weight
        # rounded in the sum, so that exactly ``count`` are made
        share = round(count * so_far / total) - made
        made += share
        batch += sorted(begin + (hour + random.random()) * span / hours for _ in range(share))
        while len(batch) >= BATCH:
            yield [datetime.fromtimestamp(moment, UTC) for moment in batch[:BATCH]]
            batch = batch[BATCH:]
    if batch:
        yield [datetime.fromtimestamp(moment, UTC) for moment in batch]


def _placed(draws: pl.DataFrame, nodes: pl.DataFrame, job_type: str) -> pl.DataFrame:
    """The draws with the orchestrator, region and fate of each job."""
    regions = REGIONS[job_type]
    moment = pl.col("moment").dt.epoch("s")
    swing = pl.col("wobble") * (2 * pi * moment / pl.col("period") + pl.col("phase")).sin()
    return (
        draws.with_columns(
            node=(pl.col("o") * nodes.height).cast(pl.UInt32),
            region=(pl.col("r") * len(regions)).cast(pl.UInt32).replace_strict(dict(enumerate(regions))),
        )
        .join(nodes.with_row_index("node"), on="node", maintain_order="left")
        .with_columns(
            failed=pl.col("s") > (pl.col("reliability") + swing / 3).clip(0.02, 0.995),
            slowness=pl.col("slowness") * (1 + swing),
            distance=0.05 + 0.6 * (pl.col("home") - pl.col("r")).abs(),
            # log-logistic: most are near 1, a few are many times as long
            noise=(0.25 * (pl.col("t") / (1 - pl.col("t"))).log()).exp().clip(0.1, 20),
            # testers tell the second at which their job ended
            timestamp=moment - (pl.col("e") * 30).cast(pl.Int64),
        )
    )


def _errors(codes: tuple[str, ...]) -> pl.Expr:
    """A list of one error where the job failed, else an empty one."""
    code = (pl.col("k") * len(codes)).cast(pl.UInt32).replace_strict(dict(enumerate(codes)))
    one = pl.concat_list(pl.struct(error_code=code, count=1 + (pl.col("e") * 5).cast(pl.Int64)))
    return pl.when(pl.col("failed")).then(one).otherwise(one.list.head(0))


def _transcoding(draws: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    whole = pl.when(pl.col("failed")).then((pl.col("k") * SEGMENTS).floor()).otherwise(SEGMENTS)
    jobs = _placed(draws, nodes, TRANSCODING).with_columns(received=whole.cast(pl.Int64))
    some = pl.col("received") > 0
    times = {
        "upload_time": 0.5 * pl.col("distance") * pl.col("noise"),
        "download_time": 0.8 * pl.col("distance") * (0.5 + pl.col("e")),
        "transcode_time": 0.3 * pl.col("slowness") * pl.col("noise"),
    }
    jobs = jobs.with_columns(**{name: pl.when(some).then(time).otherwise(0.0) for name, time in times.items()})
    return _rows(
        jobs,
        TRANSCODING,
        segments_sent=pl.lit(SEGMENTS),
        segments_received=pl.col("received") * RENDITIONS,
        success_rate=pl.col("received") / SEGMENTS,
        seg_duration=pl.lit(SEGMENT_SECONDS) + 0.01 * pl.col("e"),
        **{name: pl.col(name) for name in times},
        round_trip_time=pl.sum_horizontal(*times),
        errors=_errors(ERROR_CODES),
    )


def _ai(draws: pl.DataFrame, nodes: pl.DataFrame, jobs: pl.DataFrame) -> pl.DataFrame:
    placed = _placed(draws, nodes, AI).with_columns(job=(pl.col("k") * jobs.height).cast(pl.UInt32))
    placed = placed.join(jobs.with_row_index("job"), on="job", maintain_order="left")
    asked = pl.struct(model_id="model", prompt=pl.lit("a bear"), width=pl.lit(512), height=pl.lit(512))
    image = pl.struct(url=pl.format("/stream/{}.png", "timestamp"), seed="timestamp", nsfw=pl.lit(False))
    answered = pl.struct(images=pl.concat_list(image)).struct.json_encode() + "\n"
    refused = pl.lit('{"error":{"message":"Service Unavailable"}}\n')
    return _rows(
        placed,
        AI,
        success_rate=(~pl.col("failed")).cast(pl.Int64),
        round_trip_time=pl.col("seconds") * pl.col("slowness") * pl.col("noise") + pl.col("distance"),
        errors=_errors((AI_ERROR_CODE,)),
        model=pl.col("model"),
        model_is_warm=pl.col("e") < 0.9,
        pipeline=pl.col("pipeline"),
        input_parameters=asked.struct.json_encode(),
        response_payload=pl.when("failed").then(refused).otherwise(answered),
    )


def _rows(jobs: pl.DataFrame, job_type: str, **fields: pl.Expr) -> pl.DataFrame:
    result = pl.struct("region", "orchestrator", "timestamp", **fields)
    return jobs.select(
        pl.col("moment").cast(pl.Datetime("us", "UTC")).alias("event_time"),
        "orchestrator",
        "region",
        pl.lit(job_type).alias("job_type"),
        result.struct.json_encode().alias("payload"),
    )
