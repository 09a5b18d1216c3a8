"""What an explanation says, in every case."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from queries import REASONS, EventFilter, Explanation, Formula, explanation
from tests.queries.conftest import make_events
from tests.queries.explanation.test_explanation import OWN, OWN_AI, ai, incident, live

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAILED = {"success_rate": 0.0, "payload": '{"errors": [{"error_code": "Timeout"}]}'}
GOOD = {"success_rate": 1.0, "payload": "{}"}
PEERS = [{"orchestrator": name, "region": region} | GOOD for name in ("0xb", "0xc") for region in ("FRA", "LON")] * 2
AI_PEERS = [ai(orchestrator=name, payload="{}") for name in ("0xb", "0xc")] * 2


def explain(rows: list[dict[str, Any]], event_filter: EventFilter = OWN, **options: Any) -> Explanation:
    events = make_events([{"id": number} | row for number, row in enumerate(rows)])
    results = events if "payload" in events.columns else None
    return explanation(events, event_filter, results=results, **options)


SAID = {
    "not_tested": (PEERS, OWN, "You have no score: no such transcoding job was tested in this window."),
    "only_unscored": (
        [*PEERS, {"outcome": "unscored_busy", "payload": "{}"}],
        OWN,
        "You have no score: 1 result in this window, none of them scored, because the node was busy or the tester "
        "could not tell how it did.",
    ),
    "one_result": (
        [*PEERS, GOOD],
        OWN,
        "Your score is 0.86, rank 1 of 3, but it rests on one result and says little.",
    ),
    "best": (
        [*PEERS, *[GOOD | {"round_trip_time": 0.5}] * 2],
        OWN,
        "Your score is 0.98, the best of 3 orchestrators.",
    ),
    "as_median": (
        [*PEERS, *[GOOD] * 2, *[GOOD | {"orchestrator": "0xd", "round_trip_time": 0.5}] * 2],
        OWN,
        "Your score is 0.86, rank 2 of 4, and nothing costs you more than it costs the median orchestrator.",
    ),
    "failures": (
        [*PEERS, *[FAILED, GOOD] * 2, GOOD | {"region": "LON"}],
        OWN,
        "Your score is 0.65, rank 3 of 3, mainly because of failures: they cost 0.25 (the median orchestrator: 0.00), "
        "all of it for transcoding in FRA.",
    ),
    "slowness": (
        [*PEERS, *[GOOD | {"round_trip_time": 4.0}] * 2, GOOD | {"region": "LON", "round_trip_time": 2.0}],
        OWN,
        "Your score is 0.51, rank 3 of 3, mainly because of slowness: it costs 0.49 (the median orchestrator: 0.14), "
        "the largest part, 0.30, for transcoding in FRA.",
    ),
    "quality": (
        [live(round_trip_time=quality, orchestrator=name, payload="{}")
         for name, quality in (("0xb", 0.8), ("0xc", 0.8), ("0xa", 0.2), ("0xa", 0.6))],
        OWN_AI,
        "Your score is 0.79, rank 3 of 3, mainly because of low quality: it costs 0.21 (the median orchestrator: "
        "0.07), all of it for live-video-to-video with m in FRA.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", SAID)
def test_first_sentence_says_why(reason: str) -> None:
    rows, event_filter, sentence = SAID[reason]
    why = explain(rows, event_filter)
    assert (why.reason, why.sentences[0]) == (reason, sentence)
    assert str(why).startswith(sentence)


def test_first_sentence_says_that_it_was_the_tester() -> None:
    rows = [*PEERS, *[GOOD | {"event_time": NOON}] * 3, *[FAILED | {"event_time": NOON + HOUR}] * 2]
    table = pl.DataFrame([incident(NOON + HOUR, NOON + 3 * HOUR)])
    why = explain(rows, incidents=table)
    assert why.reason == "tester"
    assert why.sentences[:2] == (
        "Your score is 0.52, rank 3 of 3, mainly because of the tester and not of your node: in FRA most orchestrators "
        "failed from 2026-09-01 13:00 to 15:00 UTC, which cost you 0.35.",
        "Without the 2 results from there and then your score would be 0.86.",
    )
    assert {*SAID, "tester"} == {*REASONS}


def test_lesser_trouble_of_a_tester_is_told_after_the_reason() -> None:
    rows = [*PEERS, *[FAILED | {"event_time": NOON}] * 3, GOOD, FAILED | {"event_time": NOON + HOUR}]
    table = pl.DataFrame([incident(NOON + HOUR, NOON + 25 * HOUR)])
    first, second, *_ = explain(rows, incidents=table).sentences
    assert "mainly because of failures" in first
    assert second == (
        "It was the tester and not your node: in FRA most orchestrators failed from 2026-09-01 13:00 to 2026-09-02 "
        "13:00 UTC, which cost you 0.04."
    )


def test_failures_are_told_with_their_errors_and_what_to_do() -> None:
    why = explain([*PEERS, *[FAILED, GOOD] * 2, GOOD | {"region": "LON"}, FAILED | {"region": "LON"}, *[GOOD] * 6])
    lacks, about, errors, remedy, *changes = why.sentences[1:]
    assert lacks == "It lacks 0.44 to the highest score: failures 0.35 and slowness 0.09."
    assert about == (
        "For transcoding in LON, 1 of 2 results failed; failures there cost you 0.25, the median orchestrator 0.00, "
        "and the best tenth at most 0.00."
    )
    assert errors == (
        "The most frequent class of their errors is timeout (the answer took too long, or none came), in 1 of 1 failed "
        "results."
    )
    assert remedy.startswith("Compare the round trip times")
    assert changes == [
        "With 99 % success for transcoding in LON, you would have a score of 0.77 and rank 3 of 3.",
        "With 99 % success for all jobs, you would have a score of 0.86 and rank 3 of 3.",
    ]


def test_slowness_is_told_with_the_times() -> None:
    why = explain([*AI_PEERS, *[ai(round_trip_time=4.0, payload="{}")] * 2], OWN_AI)
    assert why.sentences[2:] == (
        "For LLM with m in FRA, the mean round trip time is 4.00 s, and the network's median 1.00 s; slowness there "
        "costs you 0.21, the median orchestrator 0.07, and the best tenth at most 0.07.",
        "As fast as the median orchestrator for all jobs, you would have a score of 0.93 and rank 1 of 3.",
    )


def test_a_job_that_nobody_else_does_has_no_comparison() -> None:
    why = explain([FAILED, GOOD, GOOD])
    assert why.sentences[0] == (
        "Your score is 0.58, rank 1 of 1, mainly because of failures: they cost 0.33, all of it for transcoding in FRA."
    )
    assert why.sentences[2] == "For transcoding in FRA, 1 of 3 results failed; nobody else did this job there."


def test_without_a_test_it_says_what_else_is_known() -> None:
    table = pl.DataFrame([incident(NOON, NOON + HOUR, kind="silence")])
    assert "posted nothing from 2026-09-01 12:00 to 13:00 UTC." in explain(PEERS, incidents=table).sentences[1]
    other = explain([*PEERS, ai(payload="{}")])
    assert other.sentences[1] == "There are results of other jobs, or from other regions."
    assert "active" in other.sentences[-1]


def test_too_few_results_for_the_formula_have_no_score() -> None:
    why = explanation(make_events([{}]), OWN, formula=Formula(name="mine", min_events=2))
    assert why.sentences == ("You have no score: the formula asks for more than 1 scored result.",)
