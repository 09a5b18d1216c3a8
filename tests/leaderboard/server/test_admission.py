"""Which requests get a thread, wait, or are refused."""

import time

import pytest

from leaderboard.server.admission import Admission, Kind, request_kind

HOUR = 3600
KINDS = [
    ("GET /api/health HTTP/1.1", Kind.HEALTH),
    ("GET /api/health/? HTTP/1.1", Kind.HEALTH),
    ("GET /status HTTP/1.1", Kind.HEALTH),
    ("GET /api/aggregated_stats HTTP/1.1", Kind.RECENT),
    ("GET /api/score_history?since=2026-01-01T00%3A00%3A00Z HTTP/1.1", Kind.OLD),
    ("GET /api/leaderboard?until=5 HTTP/1.1", Kind.OLD),
    ("GET /api/leaderboard?since=soon HTTP/1.1", Kind.RECENT),
    ("GET /?region=FRA&window=1y HTTP/1.1", Kind.OLD),
    ("GET /?window=24h HTTP/1.1", Kind.RECENT),
    ("GET /?window=all HTTP/1.1", Kind.RECENT),
    ("GET /api/raw_stats?orchestrator=0x HTTP/1.1", Kind.RESULTS),
    ("GET /api/raw%5Fstats?orchestrator=0x HTTP/1.1", Kind.RESULTS),
    ("GET http://example/api/raw_stats?orchestrator=0x HTTP/1.1", Kind.RESULTS),
    ("GET /api/leaderboard?%73ince=1 HTTP/1.1", Kind.OLD),
    ("GET /api/leaderboard?" + "x=1&" * 100 + "since=1 HTTP/1.1", Kind.OLD),
    ("HEAD /api/RAW_STATS/ HTTP/1.0", Kind.RESULTS),
    ("GET /api/orchestrators/0x HTTP/1.1", Kind.RESULTS),
    ("POST /api/post_stats HTTP/1.1", Kind.POST),
    ("OPTIONS /api/post_stats HTTP/1.1", Kind.RECENT),
    ("nonsense", Kind.RECENT),
    ("", Kind.RECENT),
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind"), KINDS)
def test_kind_follows_from_what_a_request_needs(line: str, kind: Kind) -> None:
    assert request_kind(line.encode(), recent_hours=24) == kind


def test_window_within_the_recent_hours_is_recent() -> None:
    now = int(time.time())
    line = f"GET /api/aggregated_stats?since={now - 24 * HOUR}&until={now} HTTP/1.1"
    assert request_kind(line.encode(), recent_hours=24) == Kind.RECENT
    assert request_kind(line.encode(), recent_hours=23) == Kind.OLD


def test_bytes_of_any_kind_have_a_kind() -> None:
    assert request_kind(bytes(range(256)), recent_hours=24) == Kind.RECENT
    assert request_kind(b"GET /?since=\xff%ff&", recent_hours=24) == Kind.RECENT


def test_kinds_do_not_take_each_others_threads() -> None:
    admission: Admission[int] = Admission(32)
    running = {kind: sum(admission.enter(kind, number, 0.0) is True for number in range(100)) for kind in Kind}
    assert running == {Kind.HEALTH: 4, Kind.RECENT: 16, Kind.OLD: 4, Kind.RESULTS: 2, Kind.POST: 16}
    assert admission.max_running == sum(running.values())


def test_every_kind_has_a_thread_where_there_is_one() -> None:
    admission: Admission[int] = Admission(1)
    assert [admission.enter(kind, 0, 0.0) for kind in Kind] == [True] * len(Kind)


def test_requests_wait_in_their_order_and_then_are_refused() -> None:
    admission: Admission[int] = Admission(2)
    # one runs and eight wait
    assert [admission.enter(Kind.POST, number, 0.0) for number in range(10)] == [True, *[None] * 8, False]
    assert [admission.leave(Kind.POST) for _ in range(3)] == [1, 2, 3]
    assert admission.take_expired(0.9) == []
    assert admission.take_expired(1.1) == [(Kind.POST, number) for number in range(4, 9)]
    assert admission.leave(Kind.POST) is None
    assert admission.enter(Kind.POST, 10, 2.0) is True


def test_worker_is_busy_while_the_next_request_might_wait() -> None:
    admission: Admission[int] = Admission(2)
    assert not admission.is_busy
    admission.enter(Kind.RESULTS, 0, 0.0)
    assert admission.is_busy
    admission.leave(Kind.RESULTS)
    assert not admission.is_busy
