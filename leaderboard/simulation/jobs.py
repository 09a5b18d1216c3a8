"""The results of simulated jobs: each column is an expression over random draws and the habits of the nodes."""

from math import pi

import polars as pl

from queries import AI, TRANSCODING

REGIONS = {
    TRANSCODING: (
        *("ATL", "ATL2", "MDW", "FRA", "HOU", "LON", "LAX", "MAD", "MIA", "MOS2", "ASH"),
        *("NYC", "PRG", "SJO", "SAO", "SEA", "SIN", "STO", "SYD", "HND", "TOR"),
    ),
    AI: ("GLOBAL", "MDW", "FRA", "LAX"),
}
TRANSCODING_ERRORS = ("OrchestratorCapped", "NoOrchestrators", "Download", "TranscodeLoopError", "EarlyTermination")
AI_ERRORS = ("HTTP-STATUS-503",)
SEGMENTS, RENDITIONS, SEGMENT_SECONDS = 15, 4, 2.0
DAY_SECONDS = 86_400.0

DRAWS = ("node_draw", "region_draw", "kind_draw", "success_draw", "time_draw", "detail_draw", "ai_draw")
"""Columns of random numbers (0..1), one per job. ``kind_draw`` chooses the model, or where and how a job fails."""


def simulate_transcoding_jobs(draws: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """The results of transcoding jobs: event_time, orchestrator, region, job_type, payload.

    ``draws`` has the columns moment and DRAWS; for ``nodes`` see the generator.
    """
    received = pl.when(pl.col("failed")).then((pl.col("kind_draw") * SEGMENTS).floor()).otherwise(SEGMENTS)
    jobs = _assign_nodes(draws, nodes, TRANSCODING).with_columns(received=received.cast(pl.Int64))
    times = {
        "upload_time": 0.5 * pl.col("distance") * pl.col("noise"),
        "download_time": 0.8 * pl.col("distance") * (0.5 + pl.col("detail_draw")),
        "transcode_time": 0.3 * pl.col("slowness") * pl.col("noise"),
    }
    any_received = pl.col("received") > 0
    jobs = jobs.with_columns(**{name: pl.when(any_received).then(time).otherwise(0.0) for name, time in times.items()})
    return _to_results(
        jobs,
        TRANSCODING,
        segments_sent=pl.lit(SEGMENTS),
        segments_received=pl.col("received") * RENDITIONS,
        success_rate=pl.col("received") / SEGMENTS,
        seg_duration=pl.lit(SEGMENT_SECONDS) + 0.01 * pl.col("detail_draw"),
        **{name: pl.col(name) for name in times},
        round_trip_time=pl.sum_horizontal(*times),
        errors=_errors(TRANSCODING_ERRORS),
    )


def simulate_ai_jobs(draws: pl.DataFrame, nodes: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """The results of AI jobs, as ``simulate_transcoding_jobs``.

    ``models`` has the columns pipeline, model and seconds, the time of a job on a node of slowness 1.
    """
    jobs = _assign_nodes(draws, nodes, AI).with_columns(job=(pl.col("kind_draw") * models.height).cast(pl.UInt32))
    jobs = jobs.join(models.with_row_index("job"), on="job", maintain_order="left")
    request = pl.struct(model_id="model", prompt=pl.lit("a bear"), width=pl.lit(512), height=pl.lit(512))
    image = pl.struct(url=pl.format("/stream/{}.png", "timestamp"), seed="timestamp", nsfw=pl.lit(False))
    success = pl.struct(images=pl.concat_list(image)).struct.json_encode() + "\n"
    failure = pl.lit('{"error":{"message":"Service Unavailable"}}\n')
    return _to_results(
        jobs,
        AI,
        success_rate=(~pl.col("failed")).cast(pl.Int64),
        round_trip_time=pl.col("seconds") * pl.col("slowness") * pl.col("noise") + pl.col("distance"),
        errors=_errors(AI_ERRORS),
        model=pl.col("model"),
        model_is_warm=pl.col("detail_draw") < 0.9,
        pipeline=pl.col("pipeline"),
        input_parameters=request.struct.json_encode(),
        response_payload=pl.when("failed").then(failure).otherwise(success),
    )


def _assign_nodes(draws: pl.DataFrame, nodes: pl.DataFrame, job_type: str) -> pl.DataFrame:
    """The draws with the node and the region of each job, and how it goes.

    Adds the columns of ``nodes``, region, failed (Boolean), slowness (of the
    node at that moment), distance (seconds on the way), noise (factor of the
    times), timestamp (unix seconds).
    """
    regions = REGIONS[job_type]
    seconds = pl.col("moment").dt.epoch("s")
    drift = pl.col("wobble") * (2 * pi * seconds / pl.col("period") + pl.col("phase")).sin()
    return (
        draws.with_columns(
            node=(pl.col("node_draw") * nodes.height).cast(pl.UInt32),
            region=(pl.col("region_draw") * len(regions)).cast(pl.UInt32).replace_strict(dict(enumerate(regions))),
        )
        .join(nodes.with_row_index("node"), on="node", maintain_order="left")
        .with_columns(
            failed=pl.col("success_draw") > (pl.col("reliability") + drift / 3).clip(0.02, 0.995),
            slowness=pl.col("slowness") * (1 + drift),
            distance=0.05 + 0.6 * (pl.col("home") - pl.col("region_draw")).abs(),
            # log-logistic: most are near 1, a few are many times as long
            noise=(0.25 * (pl.col("time_draw") / (1 - pl.col("time_draw"))).log()).exp().clip(0.1, 20),
            # the result arrives up to 30 s after the end of its job
            timestamp=seconds - (pl.col("detail_draw") * 30).cast(pl.Int64),
        )
    )


def _errors(codes: tuple[str, ...]) -> pl.Expr:
    """A list of one error if the job failed, else an empty list."""
    code = (pl.col("kind_draw") * len(codes)).cast(pl.UInt32).replace_strict(dict(enumerate(codes)))
    one = pl.concat_list(pl.struct(error_code=code, count=1 + (pl.col("detail_draw") * 5).cast(pl.Int64)))
    return pl.when(pl.col("failed")).then(one).otherwise(one.list.head(0))


def _to_results(jobs: pl.DataFrame, job_type: str, **fields: pl.Expr) -> pl.DataFrame:
    result = pl.struct("region", "orchestrator", "timestamp", *(field.alias(name) for name, field in fields.items()))
    return jobs.select(
        pl.col("moment").cast(pl.Datetime("us", "UTC")).alias("event_time"),
        "orchestrator",
        "region",
        pl.lit(job_type).alias("job_type"),
        result.struct.json_encode().alias("payload"),
    )
