"""Each kind of result has the fields that testers post, with values that fit each other."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from leaderboard.simulation.batch_jobs import older_spelling
from leaderboard.simulation.places import OLDER_AI_REGIONS, read_data
from tests.leaderboard.simulation.conftest import Result

LIVE = "live-video-to-video"
PIPELINES = {
    *("audio-to-text", "image-to-image", "image-to-text", "image-to-video", "llm", "segment-anything-2"),
    *("text-to-image", "text-to-speech", "upscale"),
}


@pytest.fixture(scope="module")
def transcoding(results: list[Result]) -> list[Result]:
    return [result for result in results if "model" not in result]


@pytest.fixture(scope="module")
def batch(results: list[Result]) -> list[Result]:
    return [result for result in results if result.get("pipeline", LIVE) != LIVE]


@pytest.fixture(scope="module")
def live(results: list[Result]) -> list[Result]:
    return [result for result in results if result.get("pipeline") == LIVE]


def slug(result: Result) -> str:
    pipeline: str = result["pipeline"]
    return pipeline.lower().replace(" ", "-")


def is_older(result: Result) -> bool:
    return result["region"] in OLDER_AI_REGIONS


def test_success_of_a_stream_is_the_share_of_its_renditions(transcoding: list[Result]) -> None:
    for result in transcoding:
        assert result["success_rate"] == pytest.approx(
            result["segments_received"] / 2 / result["segments_sent"], abs=1e-9
        )
        assert (result["success_rate"] < 1) == bool(result["errors"])
    failed = [result["success_rate"] for result in transcoding if result["errors"]]
    assert 0.08 < len(failed) / len(transcoding) < 0.3
    assert len(set(failed)) == 30
    above = sum(result["success_rate"] > 1 for result in transcoding)
    assert 0 < above < 0.02 * len(transcoding)


def test_round_trip_time_of_a_stream_is_the_sum_of_its_parts(transcoding: list[Result]) -> None:
    for result in transcoding:
        parts = [result[name] for name in ("upload_time", "download_time", "transcode_time")]
        assert result["round_trip_time"] == pytest.approx(sum(parts), abs=1e-9)
        assert (result["segments_received"] == 0) == (parts == [0, 0, 0])


def test_streams_fail_with_the_codes_of_the_gateway(transcoding: list[Result]) -> None:
    lists = Counter(tuple(error["error_code"] for error in result["errors"]) for result in transcoding)
    assert {"OrchestratorCapped", "OrchestratorBusy", "Timeout", "Download"} <= {
        code for codes in lists for code in codes
    }
    assert lists["OrchestratorCapped",] > lists["OrchestratorBusy",] > 0
    assert lists["Download", "NoOrchestrators"] > 0
    for result in transcoding:
        for error in result["errors"]:
            assert 1 <= error["count"] <= 15
            assert set(error) == {"error_code", "count"}


def test_busy_orchestrators_are_busier_by_day(transcoding: list[Result]) -> None:
    european = ("FRA", "PRG", "LON", "MAD", "STO")
    hours = Counter(
        result["received"].hour
        for result in transcoding
        if result["region"] in european and any("Capped" in error["error_code"] for error in result["errors"])
    )
    assert sum(hours[hour] for hour in range(9, 18)) > 1.3 * sum(hours[hour] for hour in (*range(5), *range(20, 24)))


def test_batch_jobs_succeed_or_fail(batch: list[Result]) -> None:
    for result in batch:
        assert result["success_rate"] in (0, 1)
        assert type(result["success_rate"]) is int
        assert len(result["errors"]) == 1 - result["success_rate"]
        assert result["round_trip_time"] > 0
    assert 0.05 < sum(not result["success_rate"] for result in batch) / len(batch) < 0.3


def test_both_spellings_lie_in_one_history(batch: list[Result]) -> None:
    assert {slug(result) for result in batch} == PIPELINES
    for result in batch:
        assert result["pipeline"] == (older_spelling(slug(result)) if is_older(result) else slug(result))
    assert {"Text to image", "text-to-image", "LLM", "llm"} <= {result["pipeline"] for result in batch}
    assert 0.05 < sum(map(is_older, batch)) / len(batch) < 0.25


def test_input_fits_the_pipeline(batch: list[Result]) -> None:
    fields = {
        "text-to-image": {"prompt", "width", "height"},
        "audio-to-text": {"audio"},
        "text-to-speech": {"text"},
        "llm": {"messages", "max_tokens"},
        "upscale": {"image", "prompt"},
        "segment-anything-2": {"image"},
    }
    uris = defaultdict(set)
    for result in batch:
        sent = json.loads(result["input_parameters"])
        assert sent["model_id"] == result["model"]
        assert fields.get(slug(result), {"image"}) <= set(sent)
        assert ("orchestrator" in sent) == (not is_older(result))
        if not is_older(result):
            uris[result["orchestrator"]].add(sent["orchestrator"])
    assert max(map(len, uris.values())) >= 3
    assert all(uri.startswith("https://") for found in uris.values() for uri in found)


def file_of(response: dict[str, Any]) -> str:
    file: str = response["images"][0]["url"]
    return file


def test_response_fits_the_pipeline(batch: list[Result]) -> None:
    checks: dict[str, Callable[[dict[str, Any]], bool]] = {
        "text-to-image": lambda response: file_of(response).endswith(".png"),
        "image-to-image": lambda response: file_of(response).endswith(".png"),
        "upscale": lambda response: file_of(response).endswith(".png"),
        "image-to-video": lambda response: file_of(response).endswith(".mp4"),
        "audio-to-text": lambda response: "".join(chunk["text"] for chunk in response["chunks"]) == response["text"],
        "image-to-text": lambda response: response["text"].startswith("a "),
        "segment-anything-2": lambda response: json.loads(response["scores"])[0] > 0.9,
        "text-to-speech": lambda response: response["audio"]["url"].endswith(".wav"),
        "llm": lambda response: response["choices"][0]["message"]["content"].endswith("."),
    }
    assert set(checks) == PIPELINES == set(read_data("examples.json"))
    files = Counter[str]()
    for result in batch:
        if result["success_rate"]:
            assert checks[slug(result)](json.loads(result["response_payload"]))
            assert "<" not in result["response_payload"]
            files.update(re.findall("/stream/[0-9a-f]{8}/[0-9a-f]{8}", result["response_payload"]))
    assert files.most_common(1)[0][1] == 1


def test_errors_of_batch_jobs_are_statuses_or_texts(batch: list[Result]) -> None:
    errors = [(result, error) for result in batch for error in result["errors"]]
    statuses, texts = set(), set()
    for result, error in errors:
        if is_older(result):
            assert error == {"error_code": "HTTP-STATUS-503", "count": 1}
            assert "Service Unavailable" in json.loads(result["response_payload"])["error"]["message"]
        elif error["error_code"].isdecimal():
            statuses.add(error["error_code"])
            assert json.loads(error["message"])["error"]["message"]
        else:
            assert error["message"] == ""
            gateway = f'Post "https://gateway-{result["region"].lower()}.example.org:9935/{result["pipeline"]}": '
            assert error["error_code"].startswith(gateway)
            texts.add(error["error_code"].removeprefix(gateway))
    assert {"400", "429", "500", "502", "503", "504"} == statuses
    assert {text.split(": ")[-1] for text in texts} >= {"EOF", "connection refused", "i/o timeout", "no such host"}
    ports = {text for text in texts if "connection reset by peer" in text}
    assert len(ports) > 10
    assert not [text for text in texts if "<" in text]


def test_cold_models_are_slower(batch: list[Result]) -> None:
    times = defaultdict(list)
    for result in batch:
        if result["success_rate"]:
            times[result["orchestrator"], result["model"], result["model_is_warm"]].append(result["round_trip_time"])
    compared = [
        (times[*job, True], times[*job, False]) for *job, warm in list(times) if warm and (*job, False) in times
    ]
    assert len(compared) > 30
    assert sum(median(cold) > median(warm) + 2 for warm, cold in compared) > 0.9 * len(compared)
    cold = sum(len(found) for (*_, warm), found in times.items() if not warm)
    assert 0.03 < cold / sum(map(len, times.values())) < 0.4


def test_live_outcomes(live: list[Result]) -> None:
    outcomes = Counter(result.get("test_outcome") for result in live if not is_older(result))
    assert set(outcomes) == {"passed", "failed", "unscored_busy", "unscored_indeterminate"}
    assert outcomes["passed"] > outcomes["failed"] > 0
    assert outcomes["unscored_busy"] > 0.01 * outcomes.total()
    for result in live:
        assert "test_outcome" in result or is_older(result)
        if result.get("test_outcome", "").startswith("unscored"):
            assert result["test_outcome"] == f"unscored_{result['unscored_reason']}"
            assert "success_rate" not in result
            assert "round_trip_time" not in result


def test_quality_of_a_live_stream_follows_from_its_frames_and_latency(live: list[Result]) -> None:
    qualities = []
    for result in live:
        if result.get("test_outcome") == "passed":
            seen = json.loads(result["response_payload"])
            speed = max(0, 1 - (1 - seen["average_fps"] / 12) ** 2)
            start = max(0, 1 - seen["initial_latency"] / 8)
            assert result["round_trip_time"] == pytest.approx(0.7 * speed + 0.3 * start, abs=1e-9)
            assert seen["total_frames"] == pytest.approx(30 * seen["average_fps"], abs=0.5)
            qualities.append(result["round_trip_time"])
    assert 0 < min(qualities) < 0.5
    assert 0.7 < median(qualities) < 0.95
    assert max(qualities) <= 1


def test_every_stream_is_tested_with_several_prompts(live: list[Result]) -> None:
    prompts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in live:
        if not is_older(result):
            assert result["prompt_id"].endswith(f"-{result['prompt_complexity']}")
            prompts[result["orchestrator"], result["model"]][result["prompt_complexity"]] += 1
    for found in prompts.values():
        assert set(found) == {"low", "medium", "high"}
        assert max(found.values()) <= 1.2 * min(found.values()) + 4


def test_older_testers_post_seconds_and_some_failures_twice(live: list[Result]) -> None:
    older = [result for result in live if is_older(result)]
    assert 0.03 < len(older) / len(live) < 0.2
    assert all(result["round_trip_time"] > 30 and "test_outcome" not in result for result in older)
    twice = [number for number, result in enumerate(older) if result["success_rate"] and result["errors"]]
    assert 0.2 < len(twice) / sum(not result["success_rate"] for result in older) < 0.8
    for number in twice:
        first, second = older[number - 1 : number + 1]
        assert first["success_rate"] == 0
        assert second == first | {"success_rate": 1, "received": second["received"]}


@pytest.mark.parametrize("kind", ["live-passed", "live-failed", "live-unscored", "ai-batch-2026", "transcoding"])
def test_fields_are_those_of_the_testers(results: list[Result], kind: str) -> None:
    """The samples were posted by the testers themselves."""
    posted = json.loads((Path(__file__).parents[2] / "data" / f"result-{kind}.json").read_text(encoding="utf-8"))

    def fields(result: Result) -> set[str]:
        return set(result) - {"received"} | {f"errors.{name}" for error in result["errors"] for name in error}

    assert fields(posted) in map(fields, results)
