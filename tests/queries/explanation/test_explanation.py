"""What an explanation computes, against the ranking and against values worked out by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any

import polars as pl
import pytest
from hypothesis import given

from queries import (
    AI,
    EventFilter,
    Exclusion,
    Explanation,
    Formula,
    explanation,
    leave_out,
    orchestrator_jobs,
    ranking,
)
from queries.explanation.costs import COST_FIELDS, highest_score
from tests.queries.conftest import make_events
from tests.queries.test_random_events import EVENTS, FILTERS, FORMULAS, ORCHESTRATORS, frame_of

Engine = Callable[[pl.DataFrame], Any]
OWN = EventFilter(orchestrator="0xa")
OWN_AI = EventFilter(AI, orchestrator="0xa")
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def ai(**columns: Any) -> dict[str, Any]:
    return {"job_type": AI, "pipeline": "LLM", "model": "m"} | columns


def live(**columns: Any) -> dict[str, Any]:
    return ai(pipeline="live-video-to-video", **columns)


def explain(rows: list[dict[str, Any]], event_filter: EventFilter = OWN, **options: Any) -> Explanation:
    return explanation(make_events(rows), event_filter, **options)


def costs(row: dict[str, Any]) -> tuple[float, ...]:
    return tuple(row[name] for name in COST_FIELDS)


@given(rows=EVENTS, event_filter=FILTERS, formula=FORMULAS)
def test_costs_add_up_to_what_the_score_of_the_ranking_lacks(
    rows: list[dict[str, Any]], event_filter: EventFilter, formula: Formula
) -> None:
    events = frame_of(rows)
    ranked = {row["orchestrator"]: row for row in ranking(events, event_filter, formula=formula).to_dicts()}
    for address in ORCHESTRATORS if event_filter.orchestrator is None else [event_filter.orchestrator]:
        own_filter = EventFilter(**vars(event_filter) | {"orchestrator": address})
        why, row = explanation(events, own_filter, formula=formula), ranked.get(address)
        assert (why.score is None) == (row is None or row["score"] is None)
        assert why.sentences
        if row is None or row["score"] is None or why.lost is None:
            assert why.jobs.is_empty()
            continue
        assert why.score == pytest.approx(row["score"], abs=1e-9)
        assert (why.rank, why.events, why.failed) == (row["rank"], row["events"], row["failed"])
        assert why.lost == pytest.approx(highest_score(own_filter.job_type, formula) - row["score"], abs=1e-9)
        assert why.jobs["cost"].sum() == pytest.approx(why.lost, abs=1e-9)
        assert why.causes["cost"].to_list() == pytest.approx([why.jobs[name].sum() for name in COST_FIELDS], abs=1e-9)
        assert why.jobs["weight"].sum() == pytest.approx(1, abs=1e-9)
        assert min(why.jobs.select(pl.min_horizontal(COST_FIELDS)).to_series()) >= -1e-9


def test_transcoding_loses_by_failures_first_and_then_by_time() -> None:
    rows = [{"success_rate": 0.5}, {"success_rate": 1.0, "region": "LON"}, {"success_rate": 1.0, "region": "LON"}]
    half, whole = explain(rows).jobs.to_dicts()
    assert (half["region"], half["weight"], whole["weight"]) == ("FRA", 0.5, 0.5)
    assert costs(half) == pytest.approx((0.5 * 0.5, 0.5 * 0.5 * exp(-2), 0), abs=1e-9)
    assert costs(whole) == pytest.approx((0, 0.5 * exp(-2), 0), abs=1e-9)


def test_ai_jobs_weigh_as_their_results_in_a_region_do() -> None:
    rows = [ai(success_rate=0.0), *[ai(model="n")] * 3, ai(model="n", region="LON")]
    failed, *_ = jobs = explain(rows, OWN_AI).jobs.to_dicts()
    assert [(job["region"], job["model"], job["weight"]) for job in jobs] == [
        ("FRA", "m", 1 / 8),
        ("LON", "n", 1 / 2),
        ("FRA", "n", 3 / 8),
    ]
    # where nothing succeeds, the failures cost all
    assert costs(failed) == pytest.approx((1 / 8, 0, 0), abs=1e-9)
    assert costs(jobs[1]) == pytest.approx((0, 0.35 * 0.2 / 2, 0), abs=1e-9)


def test_failed_streams_count_as_failures_and_not_as_low_quality() -> None:
    rows = [live(round_trip_time=0.6), live(round_trip_time=0.6), live(success_rate=0.0), live(round_trip_time=7.0)]
    (job,) = explain(rows, OWN_AI).jobs.to_dicts()
    # one of four failed, and of the three with a quality one has 0
    assert job["rated_success"] == pytest.approx(2 / 3)
    assert costs(job) == pytest.approx((0.65 / 4 + 0.35 / 3, 0, 0.35 * (2 / 3) * 0.4), abs=1e-9)


def test_costs_are_compared_with_those_of_the_same_job_and_region() -> None:
    rates = {f"0x{number}": number / 10 for number in range(10)} | {"0xa": 0.0}
    peers = [{"orchestrator": name, "success_rate": rate, "round_trip_time": 1e-9} for name, rate in rates.items()]
    elsewhere = [{"orchestrator": "0xf", "region": "LON", "success_rate": 0.0}]
    why = explain([*peers, *elsewhere, {"region": "NYC", "round_trip_time": 1e-9}])
    job = why.jobs.row(0, named=True)
    assert (job["region"], job["rank"], job["ranked_count"], job["failure_cost"]) == ("FRA", 10, 11, 0.5)
    # of 0.9, 0.8 … 0.0, 0.0 in a region that makes half of the score
    assert (job["median_failure_cost"], job["best_tenth_failure_cost"]) == pytest.approx((0.3, 0.1), abs=1e-9)


def test_rank_and_times_are_those_of_orchestrator_jobs() -> None:
    rows = [{"success_rate": 0.5}, {"orchestrator": "0xb"}, {"region": "LON", "round_trip_time": 3.0}]
    events = make_events(rows)
    names = ["region", "rank", "ranked_count", "events", "failed", "score", "round_trip_time"]
    own = explanation(events, OWN).jobs.select(names).sort("region")
    assert own.equals(orchestrator_jobs(events, OWN).select(names).sort("region"))


def test_what_if_the_success_rate_were_99_percent() -> None:
    rows = [
        {"success_rate": 0.5},
        {"region": "LON", "success_rate": 0.75},
        *[{"orchestrator": "0xb", "region": region, "success_rate": 0.85} for region in ("FRA", "LON")],
    ]
    speed = 1 - exp(-2)
    why = explain(rows)
    changes = {row["change"]: row for row in why.what_ifs.to_dicts()}
    assert (why.rank, changes["success_99"]["rank"]) == (2, 1)
    assert changes["success_99"]["score"] == pytest.approx(0.99 * speed, abs=1e-9)
    assert changes["success_99"]["gain"] == pytest.approx((0.99 - 0.625) * speed, abs=1e-9)
    in_job = changes["success_99_in_worst_job"]
    assert (in_job["region"], in_job["rank"]) == ("FRA", 1)
    assert in_job["score"] == pytest.approx((0.99 + 0.75) / 2 * speed, abs=1e-9)


def test_what_if_nothing_succeeded_takes_the_speed_of_the_median() -> None:
    rows = [{"success_rate": 0.0, "round_trip_time": 0.0}, {"orchestrator": "0xb"}, {"orchestrator": "0xc"}]
    changes = {row["change"]: row for row in explain(rows).what_ifs.to_dicts()}
    assert changes["success_99"]["score"] == pytest.approx(0.99 * (1 - exp(-2)), abs=1e-9)


def test_what_if_streams_did_not_fail_keeps_their_quality() -> None:
    rows = [live(round_trip_time=0.6), live(success_rate=0.0)]
    changes = {row["change"]: row for row in explain(rows, OWN_AI).what_ifs.to_dicts()}
    assert changes["success_99"]["score"] == pytest.approx(0.65 * 0.99 + 0.35 * 0.99 * 0.6, abs=1e-9)


def test_what_if_it_were_as_fast_as_the_median() -> None:
    rows = [{"round_trip_time": 4.0}, *[{"orchestrator": name} for name in ("0xb", "0xc")]]
    (change,) = explain(rows).what_ifs.to_dicts()
    assert (change["change"], change["rank"]) == ("median_speed", 1)
    assert change["score"] == pytest.approx(1 - exp(-2), abs=1e-9)


def incident(begin: datetime, end: datetime, region: str = "FRA", kind: str = "failures") -> dict[str, Any]:
    return {"begin": begin, "end": end, "region": region, "job_type": "transcoding", "kind": kind}


def test_an_incident_costs_what_leaving_it_out_would_gain() -> None:
    hour = timedelta(hours=1)
    rows = [
        {"event_time": NOON + number * hour, "success_rate": float(not 2 <= number < 4), "region": region}
        for number in range(6)
        for region in ("FRA", "LON")
    ]
    span = NOON + 2 * hour, NOON + 4 * hour
    others = [incident(*span, region="NYC"), incident(*span, kind="silence"), incident(NOON - hour, NOON)]
    table = pl.DataFrame([*others, incident(*span)])
    why = explain(rows, incidents=table)
    left_out = leave_out(make_events(rows), [Exclusion("FRA", None, *span, "")])
    without = ranking(left_out)["score"].item()
    found, silence = why.incidents.to_dicts()
    assert (found["region"], found["begin"], found["events"], found["failed"]) == ("FRA", span[0], 2, 2)
    assert found["score_without"] == pytest.approx(without, abs=1e-9)
    assert found["cost"] == pytest.approx(without - (why.score or 0), abs=1e-9)
    assert (silence["kind"], silence["cost"]) == ("silence", None)


def test_error_classes_are_of_failed_results_of_the_job() -> None:
    refused = '{"errors": [{"error_code": "EOF", "count": 2}, {"error_code": "Download"}]}'
    rows = [
        {"id": 1, "success_rate": 0.0, "payload": refused},
        {"id": 2, "payload": '{"errors": [{"error_code": "Timeout"}]}'},
        {"id": 3, "success_rate": 0.0, "region": "LON", "payload": '{"errors": [{"error_code": "429"}]}'},
        ai(id=4, success_rate=0.0, payload='{"errors": [{"error_code": "503"}]}'),
    ]
    names = ["region", "class", "results", "count", "share"]
    classes = explain(rows, results=make_events(rows)).error_classes
    assert classes.select(names).rows() == [("FRA", "refused", 1, 3, 1.0), ("LON", "busy", 1, 1, 1.0)]
    (of_ai,) = explain(rows, OWN_AI, results=make_events(rows)).error_classes.to_dicts()
    assert (of_ai["pipeline"], of_ai["model"], of_ai["class"]) == ("LLM", "m", "http_5xx")


def test_explanation_is_the_same_on_every_engine(on_engine: Engine) -> None:
    rows = [ai(id=1, success_rate=0.5), ai(id=2, region="LON", pipeline="llm"), ai(id=3, orchestrator="0xb")]
    table = pl.DataFrame([incident(NOON - timedelta(days=1), NOON) | {"job_type": AI}])
    here, there = (
        explanation(frame, OWN_AI, incidents=table) for frame in (make_events(rows), on_engine(make_events(rows)))
    )
    assert str(here) == str(there)
    assert here.jobs.equals(there.jobs)
    assert here.incidents.equals(there.incidents)


def test_filter_must_name_an_orchestrator() -> None:
    with pytest.raises(ValueError, match="orchestrator"):
        explain([{}], EventFilter())
