"""The results of simulated AI jobs that answer once, as the job tester posts them."""

import json
from random import Random
from typing import Any

import polars as pl

from leaderboard.simulation.conditions import no_errors, to_results, with_conditions
from leaderboard.simulation.draws import hexadecimal
from leaderboard.simulation.failures import BROKEN, BUSY, CUT_OFF, failure, filled_in
from leaderboard.simulation.places import read_data

LOAD_SECONDS = 12.0
"""How long a node of slowness 1 takes to load a model."""
OLDER_ERROR_CODE = "HTTP-STATUS-503"
OLDER_RESPONSE = '{"error":{"message":"Service Unavailable Error"}}\n'


def older_spelling(pipeline: str) -> str:
    """The name of a pipeline in older releases of the tester: ``Text to image`` for ``text-to-image``."""
    return "LLM" if pipeline == "llm" else pipeline.replace("-", " ").capitalize()


def read_examples() -> pl.DataFrame:
    """What testers send, and what comes back: pipeline, example (UInt32), label (the older spelling), input, output.

    ``input`` is JSON without its first brace. ``output`` is JSON with
    ``"<number>"``, ``<folder>`` and ``<file>`` where responses differ.
    """
    rows: list[dict[str, Any]] = []
    for pipeline, examples in read_data("examples.json").items():
        for number, example in enumerate(examples):
            rows.append(
                {
                    "pipeline": pipeline,
                    "example": number,
                    "label": older_spelling(pipeline),
                    "input": json.dumps(example["input"])[1:],
                    "output": json.dumps(example["output"], separators=(",", ":")),
                }
            )
    return pl.DataFrame(rows, schema_overrides={"example": pl.UInt32})


def batch_results(tests: pl.DataFrame, examples: pl.DataFrame, random: Random) -> pl.DataFrame:
    """The results of tests of ``ai_targets`` other than live video, as ``to_results`` has them."""
    seconds = pl.col("base_seconds") * pl.col("slowness") * pl.col("noise") + 4 * pl.col("distance")
    loading = pl.when(pl.col("cold_draw") < pl.col("cold")).then(LOAD_SECONDS * pl.col("slowness")).otherwise(0.0)
    jobs = (
        with_conditions(tests, random)
        .with_columns(
            example=(pl.col("detail_draw") * examples["example"].n_unique()).cast(pl.UInt32),
            warm=pl.col("cold_draw") >= pl.col("cold"),
            seconds=pl.when("failed")
            .then(failure(BUSY, BROKEN, CUT_OFF, "seconds") * pl.col("noise"))
            .otherwise(seconds + loading),
        )
        .join(examples, on=["pipeline", "example"], maintain_order="left")
        .with_columns(
            timestamp=(pl.col("ended") - pl.col("seconds")).floor().cast(pl.Int64),
            folder=hexadecimal(random, tests.height, 8),
            file=hexadecimal(random, tests.height, 8),
        )
    )
    return pl.concat(
        (
            _succeeded(jobs.filter(~pl.col("failed"))),
            _failed(jobs.filter(pl.col("failed") & ~pl.col("older"))),
            _failed_older(jobs.filter(pl.col("failed") & pl.col("older"))),
        )
    )


def _succeeded(jobs: pl.DataFrame) -> pl.DataFrame:
    number = (pl.col("kind_draw") * 2**32).cast(pl.Int64).cast(pl.String)
    output = (
        pl.col("output")
        .str.replace('"<number>"', number, literal=True)
        .str.replace("<folder>", pl.col("folder"), literal=True)
        .str.replace("<file>", pl.col("file"), literal=True)
    )
    return to_results(
        jobs,
        **_job_fields(),
        model_is_warm=pl.col("warm"),
        success_rate=pl.lit(1),
        round_trip_time=pl.col("seconds"),
        errors=no_errors("error_code", "message"),
        timestamp=pl.col("timestamp"),
        input_parameters=_input(),
        response_payload=output + "\n",
    )


def _failed(jobs: pl.DataFrame) -> pl.DataFrame:
    code = filled_in(failure(BUSY, BROKEN, CUT_OFF, "code"), pl.col("pipeline"))
    message = failure(BUSY, BROKEN, CUT_OFF, "message")
    return to_results(
        jobs,
        **_job_fields(),
        model_is_warm=pl.col("warm"),
        success_rate=pl.lit(0),
        round_trip_time=pl.col("seconds"),
        errors=pl.concat_list(pl.struct(error_code=code, message=message, count=pl.lit(1))),
        timestamp=pl.col("timestamp"),
        input_parameters=_input(),
        response_payload=pl.lit(""),
    )


def _failed_older(jobs: pl.DataFrame) -> pl.DataFrame:
    return to_results(
        jobs,
        **_job_fields(),
        success_rate=pl.lit(0),
        round_trip_time=pl.col("seconds"),
        errors=pl.concat_list(pl.struct(error_code=pl.lit(OLDER_ERROR_CODE), count=pl.lit(1))),
        timestamp=pl.col("timestamp"),
        input_parameters=_input(),
        response_payload=pl.lit(OLDER_RESPONSE),
    )


def _job_fields() -> dict[str, pl.Expr]:
    pipeline = pl.when("older").then("label").otherwise("pipeline")
    return {"pipeline": pipeline, "model": pl.col("model")}


def _input() -> pl.Expr:
    """The input as text, with the model and, unless the tester is older, the node that is tested."""
    node = pl.when("older").then(pl.lit("")).otherwise(pl.format('"orchestrator": "{}", ', "service_uri"))
    return pl.concat_str(pl.lit('{"model_id": "'), "model", pl.lit('", '), node, "input")
