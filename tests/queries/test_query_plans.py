"""Query functions over Polars frames in memory: a plan is made once, and answers about the events of each call."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import AI, EventFilter, aggregated_stats, ranking, sample_data, score_history

THREADS = 4


def of_orchestrator(address: str) -> pl.DataFrame:
    """As many events as sample_data has, all of one orchestrator."""
    return sample_data.events().with_columns(orchestrator=pl.lit(address))


def test_second_answer_is_about_its_own_events() -> None:
    for address in ("0xaa", "0xbb", "0xaa"):
        assert ranking(of_orchestrator(address))["orchestrator"].to_list() == [address]


def test_options_have_plans_of_their_own() -> None:
    events = sample_data.events()
    assert [ranking(events, min_events=least).height for least in (0, 3, 0)] == [2, 1, 2]
    assert [ranking(events, EventFilter(job_type=AI, model=name)).height for name in ("small", "none")] == [2, 0]
    by_region = [score_history(events, group_columns=names).columns[1] for names in (["region"], ["orchestrator"])]
    assert by_region == ["region", "orchestrator"]


def test_other_columns_have_plans_of_their_own() -> None:
    events = sample_data.events()
    encoded = events.with_columns(pl.selectors.string().cast(pl.Categorical))
    for frame in (events, encoded, events.drop("warm", "outcome"), events):
        rows = aggregated_stats(frame, EventFilter(region="NYC"))
        assert rows["orchestrator"].cast(pl.String).to_list() == ["0xaa", "0xbb"]


def test_threads_get_answers_about_their_own_events() -> None:
    frames = [of_orchestrator(f"0x{number}") for number in range(100)]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ranking, frames))
    assert [rows["orchestrator"].to_list() for rows in answers] == [[f"0x{number}"] for number in range(100)]


def test_failed_plan_is_not_used_again() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        ranking(sample_data.events().drop("region"))
    assert ranking(sample_data.events()).height == 2


def test_plan_does_not_keep_the_events() -> None:
    events = of_orchestrator("0xaa")
    reference = weakref.ref(events)
    ranking(events)
    del events
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("threshold", [10, 11])
def test_large_frames_have_the_same_answer(threshold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queries.engines.SMALL_FRAME_ROWS", threshold)
    events = sample_data.events()
    assert events.height == 11
    assert_frame_equal(ranking(events), ranking(events.lazy()).collect())
