"""The results of simulated live video streams, as the job tester posts them."""

import hashlib
import json
from collections.abc import Sequence
from random import Random

import polars as pl

from leaderboard.simulation.conditions import no_errors, to_results, with_conditions
from leaderboard.simulation.failures import LIVE_BROKEN, LIVE_CUT_OFF, failure, filled_in

PIPELINE = "live-video-to-video"
TARGET_FPS, MAX_LATENCY_SECONDS = 12.0, 8.0
"""What the testers' configuration asks for: at least so many frames per second, and the first one so soon."""
FPS_WEIGHT, LATENCY_WEIGHT = 0.7, 0.3
SENT_FPS = 16.0
"""The frame rate of the stream that testers send. No more can come back."""
STREAM_SECONDS = 30
SHARE_INDETERMINATE = 0.02

PROMPTS = (
    ("watercolor", "low", "watercolor painting style"),
    ("neon-city", "medium", "a neon-lit city street in the rain at night"),
    ("oil-market", "high", "a crowded market square as an oil painting with thick brush strokes"),
)
"""The prompts, one per turn: name, complexity and text."""
PROMPT_WORK = (1.0, 1.1, 1.3)
"""How much more work each prompt is."""


def quality(fps: pl.Expr, latency: pl.Expr) -> pl.Expr:
    """What the tester makes of frames per second and of the seconds until the first frame: 0..1, higher is better.

    It is the tester's formula: 0.7 · max(0, 1 - (1 - fps/target)²) + 0.3 · max(0, 1 - latency/limit).
    """
    speed = (1 - (1 - fps / TARGET_FPS) ** 2).clip(0, 1)
    start = (1 - latency / MAX_LATENCY_SECONDS).clip(0, 1)
    return FPS_WEIGHT * speed + LATENCY_WEIGHT * start


def live_results(tests: pl.DataFrame, random: Random) -> pl.DataFrame:
    """The results of tests of ``ai_targets`` for live video, as ``to_results`` has them."""
    unscored = pl.col("busy") | (pl.col("incident_draw") > 1 - SHARE_INDETERMINATE)
    streams = (
        with_conditions(tests, random)
        .with_columns(
            unscored=unscored & ~pl.col("cut_off"),
            failed=pl.col("broken") | pl.col("cut_off"),
            warm=pl.col("cold_draw") >= pl.col("cold"),
            work=_by_turn(PROMPT_WORK),
        )
        .with_columns(
            fps=pl.min_horizontal(
                pl.col("base_fps") / (pl.col("slowness") * pl.col("work")).sqrt() * pl.col("noise") ** 0.5,
                SENT_FPS - pl.col("kind_draw"),
            ),
            latency=(0.7 + 1.2 * pl.col("slowness") + 4 * pl.col("distance")) * pl.col("noise")
            + pl.when("warm").then(0.0).otherwise(2 * pl.col("slowness")),
        )
    )
    current = streams.filter(~pl.col("older"))
    return pl.concat(
        (
            _passed(current.filter(~pl.col("unscored") & ~pl.col("failed"))),
            _failed(current.filter(~pl.col("unscored") & pl.col("failed"))),
            _unscored(current.filter("unscored")),
            _older(streams.filter("older")),
        )
    )


def _passed(streams: pl.DataFrame) -> pl.DataFrame:
    confirmed = pl.col("kind_draw") < 0.9
    response = pl.struct(
        test_outcome=pl.lit("passed"),
        total_frames=(pl.col("fps") * STREAM_SECONDS).round().cast(pl.Int64),
        average_fps=pl.col("fps"),
        average_latency=0.4 * pl.col("latency"),
        test_duration=pl.lit(STREAM_SECONDS),
        initial_latency=pl.col("latency"),
        gateway_ready_secs=(0.9 * pl.col("latency")).floor().cast(pl.Int64),
    )
    return to_results(
        streams,
        **_stream_fields(),
        success_rate=pl.lit(1),
        round_trip_time=quality(pl.col("fps"), pl.col("latency")),
        errors=no_errors("error_code", "message"),
        test_outcome=pl.lit("passed"),
        prompt_verification=pl.when(confirmed).then(pl.lit("confirmed")).otherwise(pl.lit("unverified")),
        prompt_confirmed=confirmed,
        stream_valid=pl.lit(True),
        timestamp=pl.col("ended"),
        response_payload=response.struct.json_encode(),
    )


def _failed(streams: pl.DataFrame) -> pl.DataFrame:
    return to_results(
        streams,
        **_stream_fields(),
        success_rate=pl.lit(0),
        round_trip_time=pl.lit(0),
        errors=_errors(),
        test_outcome=pl.lit("failed"),
        prompt_verification=pl.lit("unverified"),
        prompt_confirmed=pl.lit(False),
        stream_valid=pl.lit(False),
        timestamp=pl.col("ended"),
        response_payload=pl.lit(json.dumps({"test_outcome": "failed", "error": "failed to execute live video stream"})),
    )


def _unscored(streams: pl.DataFrame) -> pl.DataFrame:
    reason = pl.when("busy").then(pl.lit("busy")).otherwise(pl.lit("indeterminate"))
    outcome = "unscored_" + reason
    return to_results(
        streams,
        **_stream_fields(),
        errors=no_errors("error_code", "message"),
        test_outcome=outcome,
        unscored_reason=reason,
        prompt_verification=pl.lit("unverified"),
        defer_attempts=pl.when("busy").then(3).otherwise(0),
        timestamp=pl.col("ended"),
        response_payload=pl.struct(test_outcome=outcome, unscored_reason=reason).struct.json_encode(),
    )


def _older(streams: pl.DataFrame) -> pl.DataFrame:
    """Older testers post wall seconds, and many a failed stream twice: the second time as if it had succeeded."""
    before = pl.all().shift(1)
    second = (pl.int_range(pl.len()) % 2 == 1) & pl.col("failed").shift(1)
    moment = pl.min_horizontal(pl.col("moment").shift(1) + pl.duration(seconds=1), "moment")
    copies = streams.select(before).with_columns(moment=streams.select(moment).to_series(), posted_again=pl.lit(True))
    is_copy = streams.select(second).to_series()
    posts = pl.concat((streams.with_columns(posted_again=pl.lit(False)).filter(~is_copy), copies.filter(is_copy)))
    fields = _job_fields() | {
        "round_trip_time": STREAM_SECONDS + pl.col("latency"),
        "timestamp": pl.col("ended"),
        "response_payload": pl.lit(""),
    }
    failed = pl.col("failed")
    return pl.concat(
        (
            to_results(
                posts.filter(~failed), success_rate=pl.lit(1), errors=no_errors("error_code", "message"), **fields
            ),
            to_results(
                posts.filter(failed), success_rate=pl.col("posted_again").cast(pl.Int64), errors=_errors(), **fields
            ),
        )
    )


def _job_fields() -> dict[str, pl.Expr]:
    return {
        "pipeline": pl.col("pipeline"),
        "model": pl.col("model"),
        "model_is_warm": pl.col("warm"),
        "input_parameters": _by_turn([json.dumps({"prompt": text}) for _, _, text in PROMPTS]),
    }


def _stream_fields() -> dict[str, pl.Expr]:
    complexity = _by_turn([complexity for _, complexity, _ in PROMPTS])
    name = _by_turn([name for name, _, _ in PROMPTS])
    params_hash = _by_turn([hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for _, _, text in PROMPTS])
    started = (pl.col("moment").dt.epoch("us") - STREAM_SECONDS * 1_000_000) * 1000
    return _job_fields() | {
        "prompt_id": pl.format("{}-{}", name, complexity),
        "prompt_complexity": complexity,
        "params_hash": params_hash,
        "stream_id": pl.format("tester-{}-{}-{}-{}", complexity, name, params_hash.str.head(8), started),
    }


def _errors() -> pl.Expr:
    code = filled_in(failure(LIVE_BROKEN, LIVE_BROKEN, LIVE_CUT_OFF, "code"), pl.lit("live/video-to-video"))
    message = failure(LIVE_BROKEN, LIVE_BROKEN, LIVE_CUT_OFF, "message")
    return pl.concat_list(pl.struct(error_code=code, message=message, count=pl.lit(1)))


def _by_turn(values: Sequence[str] | Sequence[float]) -> pl.Expr:
    return pl.col("turn").replace_strict(dict(enumerate(values)))
