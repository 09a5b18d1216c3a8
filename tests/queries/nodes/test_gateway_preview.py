"""Who passes a gateway's least score, and who is left out for lack of tests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from queries import AI, EventFilter, aggregated_stats, gateway_preview
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
SINCE = datetime(2026, 9, 7, tzinfo=UTC)
BEFORE = {"event_time": datetime(2026, 9, 6, tzinfo=UTC)}
NOW = {"event_time": SINCE}
FAILED = {"success_rate": 0.0}
FRA = EventFilter(region="FRA")


def preview(
    engine: Engine, rows: list[dict[str, Any]], query: EventFilter = FRA, **options: Any
) -> dict[str, dict[str, Any]]:
    """The rows by orchestrator. A transcoding job of make_events that succeeds scores 0.8647."""
    options = {"since": SINCE, "min_score": 0.7} | options
    found = to_polars(gateway_preview(engine(make_events(rows)), query, **options))
    return {row["orchestrator"]: row for row in found.to_dicts()}


def test_states_are_told_apart(on_engine: Engine) -> None:
    unscored = {"outcome": "unscored_busy", **FAILED}
    rows = [
        {"orchestrator": "passes"} | NOW,
        *[{"orchestrator": "low"} | FAILED | NOW] * 3,
        {"orchestrator": "few"} | FAILED | NOW,
        {"orchestrator": "unscored"} | unscored | NOW,
        {"orchestrator": "gone"} | FAILED | BEFORE,
        {"orchestrator": "elsewhere", "region": "SEA"} | NOW,
        *[{"orchestrator": name} | BEFORE for name in ("low", "few", "unscored", "rests") for _ in range(9)],
    ]
    found = preview(on_engine, rows)
    assert {
        name: (row["state"], row["passes"], row["passes_week"], row["lacks_tests"]) for name, row in found.items()
    } == {
        "passes": ("passes", True, True, False),
        "low": ("too_low", False, False, False),
        "few": ("few_events", False, True, True),
        "unscored": ("only_unscored", False, True, True),
        "rests": ("not_tested", False, True, True),
        "gone": ("not_tested", False, False, False),
    }
    assert list(found) == ["passes", "few", "low", "rests", "unscored", "gone"]
    few = found["few"]
    assert [few[name] for name in ("score", "events", "unscored", "week_events", "week_unscored")] == [0.0, 1, 0, 10, 0]
    assert few["week_score"] == pytest.approx(0.9 * 0.8646647167633873, abs=1e-9)
    assert (few["last_seen"], found["rests"]["last_seen"]) == (SINCE, BEFORE["event_time"])
    assert [found["unscored"][name] for name in ("score", "events", "unscored")] == [None, 0, 1]
    assert found["rests"]["score"] is None


def test_min_events_says_how_many_tests_are_enough(on_engine: Engine) -> None:
    rows = [FAILED | NOW, *[BEFORE] * 9]
    assert preview(on_engine, rows, min_events=1)["0xa"]["state"] == "too_low"


def test_scores_are_those_that_a_gateway_reads(on_engine: Engine) -> None:
    job = {"job_type": AI, "pipeline": "llm", "model": "m", "seg_duration": 0.0}
    rows = [
        job | NOW | {"round_trip_time": 2.0},
        job | NOW | {"round_trip_time": 6.0, "orchestrator": "0xb"},
        job | NOW | {"round_trip_time": 7.0, "region": "SEA"},
        job | BEFORE | {"round_trip_time": 9.0},
    ]
    query = EventFilter(AI, region="FRA", pipeline="LLM", model="m")
    found = preview(on_engine, rows, query)
    for window, column in ((rows[:3], "score"), (rows, "week_score")):
        scores = to_polars(aggregated_stats(on_engine(make_events(window)), query))
        assert {name: row[column] for name, row in found.items()} == pytest.approx(
            dict(scores.select("orchestrator", "score").iter_rows()), abs=1e-9
        )


def test_filter_without_a_region_is_refused() -> None:
    with pytest.raises(ValueError, match="region of the gateway"):
        gateway_preview(make_events([]), EventFilter(), since=SINCE, min_score=0.7)
