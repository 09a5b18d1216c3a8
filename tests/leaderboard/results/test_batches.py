"""Batches: all results of a body are stored, or none."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import rows
from tests.leaderboard.results.test_posting import ADDRESS, AI_JOB, GOOD, good
from tests.support.waiting import eventually

Post = Callable[..., Any]
NDJSON = {"Content-Type": "application/x-ndjson"}
COUNT = "SELECT count(*) FROM events"


def array(*results: bytes) -> bytes:
    return b"[" + b", ".join(results) + b"]"


@pytest.mark.parametrize("form", ["array", "lines", "lines with blank ones and CRLF"])
def test_batch_is_stored_like_single_results(post: Post, database: str, form: str) -> None:
    results = [good(region="fra", timestamp=number) for number in range(3)] + [good(region="FRA", **AI_JOB)]
    if form == "array":
        response = post(b" \n" + array(*results))
    else:
        end = b"\n" if form == "lines" else b"\r\n\r\n"
        response = post(end.join(results) + end, **NDJSON)
    assert (response.status_code, response.text) == (200, "ok")
    stored = rows(database, "SELECT orchestrator, region_name, job_type_name, payload FROM event_details ORDER BY id")
    assert [row[:3] for row in stored] == [(ADDRESS, "FRA", "transcoding")] * 3 + [(ADDRESS, "FRA", "ai")]
    assert stored[2][3] == GOOD | {"region": "FRA", "timestamp": 2}


def test_special_characters_are_stored_unchanged(post: Post, client: FlaskClient) -> None:
    text = 'tab \t, line \n, "quotes", back\\slash \\N \\., é 𝄞 \x7f'
    assert post(array(good(note=text), good(note="\\\\"))).status_code == 200
    # JSON may also have line breaks and tabs between its parts
    assert post(array(json.dumps(GOOD, indent="\t").encode())).status_code == 200
    results = client.get(f"/api/raw_stats?orchestrator={ADDRESS}").json["FRA"]
    assert [result.get("note") for result in results] == [None, "\\\\", text]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (good(region="XXX"), "results[2]: region"),
        (good(success_rate=-1), "results[2]: success_rate"),
        (b"5", "results[2]: the body must be a JSON object"),
        (good(note="\0"), "results[2]: note must not contain the character NUL"),
        (good(note="x" * 2**20), "results[2]: is larger than 1048576 bytes"),
    ],
)
def test_invalid_result_is_named_and_nothing_is_stored(post: Post, database: str, bad: bytes, named: str) -> None:
    for response in (post(array(good(), good(), bad, good())), post(b"\n".join((good(), good(), bad)), **NDJSON)):
        assert response.status_code == 400
        assert response.json["error"].startswith(named)
    assert rows(database, COUNT) == [(0,)]


def test_result_that_postgresql_refuses_is_named(post: Post, database: str) -> None:
    rows(database, "CREATE INDEX notes ON events ((payload->>'note'))")
    # longer than an index entry may be, and hardly to be compressed
    note = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(9000))
    response = post(array(good(), good(note=note)))
    assert (response.status_code, "PostgreSQL cannot store" in response.json["error"]) == (400, True)
    assert response.json["error"].startswith("results[1] holds")
    assert rows(database, COUNT) == [(0,)]


def test_deleted_region_is_refused(post: Post, database: str) -> None:
    assert post(array(good())).status_code == 200
    rows(database, "DELETE FROM events")
    rows(database, "DELETE FROM regions WHERE name = 'FRA'")
    response = post(array(good(), good()))
    assert (response.status_code, "not registered" in response.json["error"]) == (400, True)
    assert rows(database, COUNT) == [(0,)]


def test_batch_has_at_most_ten_thousand_results(post: Post, database: str) -> None:
    assert post(array(*[good()] * 10_000)).status_code == 200
    assert rows(database, COUNT) == [(10_000,)]
    response = post(array(*[good()] * 10_001))
    assert (response.status_code, response.json["error"]) == (400, "the body must be 1 to 10000 results, not 10001")
    assert rows(database, COUNT) == [(10_000,)]


def test_batch_has_at_most_sixteen_mebibytes(post: Post, database: str) -> None:
    results = [good(note="x" * 2**19)] * 31
    assert post(array(*results)).status_code == 200
    response = post(array(*results, *results[:2]))
    assert (response.status_code, "16777216" in response.json["error"]) == (413, True)
    assert rows(database, COUNT) == [(31,)]


def test_batch_is_signed_as_a_whole(client: FlaskClient, database: str) -> None:
    response = client.post("/api/post_stats", data=array(good()), headers={"Authorization": "x"})
    assert response.status_code == 403
    assert rows(database, COUNT) == [(0,)]


def test_no_response_has_a_part_of_a_batch(post: Post, client: FlaskClient) -> None:
    sizes, posted = [], threading.Event()

    def read() -> None:
        reader = client.application.test_client()
        while not posted.is_set():
            results = reader.get(f"/api/raw_stats?orchestrator={ADDRESS}").json
            sizes.append(len(results.get("FRA", ())))

    thread = threading.Thread(target=read)
    thread.start()
    for batches in range(5):
        assert post(array(*[good()] * 200)).status_code == 200
        # the reader sees every batch before the next is posted
        eventually(lambda expected=200 * (batches + 1): expected in sizes)
    posted.set()
    thread.join()
    assert set(sizes) - {0} == {200, 400, 600, 800, 1000}
