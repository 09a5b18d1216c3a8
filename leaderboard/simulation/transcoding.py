"""The results of simulated streams, as the stream tester posts them."""

from random import Random

import polars as pl

from leaderboard.simulation.conditions import BUSY, CAPPED, no_errors, to_results, with_conditions
from leaderboard.simulation.draws import choose

SEGMENTS, RENDITIONS, SEGMENT_SECONDS = 15, 2, 2.0
STREAM_SECONDS = round(SEGMENTS * SEGMENT_SECONDS)
ALL_RENDITIONS = SEGMENTS * RENDITIONS
SHARE_WITH_EXTRA = 0.01
"""The share of good streams in which the tester counts a rendition twice: their success_rate is above 1."""

BUSY_CODES = (CAPPED, CAPPED, CAPPED, BUSY)
BROKEN_CODES = (
    *("Download", "Download", "Download", "Timeout", "Timeout", "Transcode", "SessionEnded"),
    *("ReadBody", "SaveData", "UnknownResponse"),
)
CUT_OFF_CODES = ("Timeout", "Timeout", "Download", "Upload")
FOLLOWING_CODE = "NoOrchestrators"
"""What the gateway adds when it has dropped the orchestrator and there is no other."""


def transcoding_results(tests: pl.DataFrame, random: Random) -> pl.DataFrame:
    """The results of tests of ``transcoding_targets``, as ``to_results`` has them."""
    # most streams that fail lose a few segments; a stream that the tester cuts off gets no further than half
    lost_share = pl.when("cut_off").then(0.5 + 0.5 * pl.col("kind_draw")).otherwise(pl.col("kind_draw") ** 2)
    lost = pl.when("failed").then((lost_share * ALL_RENDITIONS).floor() + 1).otherwise(0)
    extra = (~pl.col("failed") & (pl.col("incident_draw") < SHARE_WITH_EXTRA)).cast(pl.Int64)
    streams = with_conditions(tests, random).with_columns(
        lost=lost.cast(pl.Int64), received=(ALL_RENDITIONS - lost + extra).cast(pl.Int64)
    )
    times = {
        "upload_time": (0.01 + 2.5 * pl.col("distance")) * pl.col("noise"),
        "download_time": (0.01 + 5 * pl.col("distance")) * (0.5 + pl.col("busy_draw")),
        "transcode_time": 0.25 * pl.col("slowness") * pl.col("noise"),
    }
    any_received = pl.col("received") > 0
    streams = streams.with_columns(
        pl.when(any_received).then(time).otherwise(0.0).alias(name) for name, time in times.items()
    )
    failed = pl.col("failed")
    return pl.concat(
        (
            _to_results(streams.filter(~failed), no_errors("error_code")),
            _to_results(streams.filter(failed), _errors()),
        )
    )


def _to_results(streams: pl.DataFrame, errors: pl.Expr) -> pl.DataFrame:
    times = ("upload_time", "download_time", "transcode_time")
    return to_results(
        streams,
        timestamp=pl.col("ended") - STREAM_SECONDS,
        segments_sent=pl.lit(SEGMENTS),
        segments_received=pl.col("received"),
        success_rate=pl.col("received") / ALL_RENDITIONS,
        seg_duration=SEGMENT_SECONDS + 0.01 * pl.col("busy_draw"),
        **{name: pl.col(name) for name in times},
        round_trip_time=pl.sum_horizontal(*times),
        errors=errors,
    )


def _errors() -> pl.Expr:
    """One error or two of a stream that failed: what went wrong, and that there was no other orchestrator then."""
    draw = pl.col("detail_draw")
    code = (
        pl.when("cut_off")
        .then(choose(draw, CUT_OFF_CODES))
        .when("broken")
        .then(choose(draw, BROKEN_CODES))
        .otherwise(choose(draw, BUSY_CODES))
    )
    segments = ((pl.col("lost") + RENDITIONS - 1) // RENDITIONS).cast(pl.Int64)
    first = pl.struct(error_code=code, count=segments)
    following = pl.struct(error_code=pl.lit(FOLLOWING_CODE), count=segments)
    followed = pl.col("broken") & (pl.col("time_draw") < 0.4)
    return pl.concat_list(first, following).list.head(1 + followed.cast(pl.Int64))
