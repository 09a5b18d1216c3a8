"""``leaderboard post`` against a service that works, one that refuses results, and one that fails."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from flask import Flask

from leaderboard.posting.client import Client, OutcomeUnknown, ServiceRefused
from leaderboard.results.validation import MAX_RESULT_BYTES
from tests.conftest import SECRET, rows, sample
from tests.leaderboard.cli.conftest import RunCommand, listening
from tests.support.commands import LEADERBOARD, environment

pytestmark = pytest.mark.slow

ADDRESS = "0x" + "a" * 40
RESULT = {"region": "FRA", "orchestrator": ADDRESS, "success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class FlakyService:
    """A service in front of which requests fail: each takes the next of ``faults``, as long as there are any.

    A fault is a WSGI app; the service itself is one that answers as usual.
    """

    def __init__(self, app: Wsgi, *faults: Wsgi) -> None:
        self._app = app
        self._faults = list(faults)
        self.requests = 0

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request."""
        self.requests += 1
        fault = self._faults.pop(0) if self._faults else self._app
        return fault(environ, start_response)


def answer_with(status: str) -> Wsgi:
    """A fault: the request is read and answered with this status."""

    def fault(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "application/json"), ("Retry-After", "0")])
        return [b'{"error": "not now"}']

    return fault


def answer_as_another(status: str, text: str = "<html>", **headers: str) -> Wsgi:
    """A fault: something before the service answers in its place."""

    def fault(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "text/html"), *headers.items()])
        return [text.encode()]

    return fault


def lose_the_answer(app: Wsgi) -> Wsgi:
    """A fault: the service stores the results, and the connection breaks before its answer."""

    def fault(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        list(app(environ, start_response))
        environ["werkzeug.socket"].shutdown(2)
        return []

    return fault


def lines(*results: object) -> str:
    return "\n".join(result if isinstance(result, str) else json.dumps(result) for result in results)


def stored(database: str) -> int:
    return int(rows(database, "SELECT count(*) FROM events")[0][0])


def numbered(count: int) -> list[dict[str, Any]]:
    """Results that differ in their timestamps."""
    return [RESULT | {"timestamp": number} for number in range(count)]


def stored_numbers(database: str) -> list[int]:
    return [number for (number,) in rows(database, "SELECT (payload->>'timestamp')::int FROM events ORDER BY id")]


def test_object_over_several_lines_is_one_result(run: RunCommand, service_url: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(RESULT, indent=2))
    result = run("post", str(file), "--url", service_url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 posted, 0 refused\n")


def test_lines_are_stored_as_posted_and_in_order(run: RunCommand, service_url: str, database: str) -> None:
    results = [result for results in sample("raw-transcoding-2021-09-25.json").values() for result in results]
    result = run("post", "-", "--url", f"{service_url}/", stdin="\n\n".join(map(json.dumps, results)))
    assert (result.exit_code, result.stderr) == (0, "21 posted, 0 refused\n")
    assert [payload for (payload,) in rows(database, "SELECT payload FROM events ORDER BY id")] == results


def test_array_counts_its_results(run: RunCommand, service_url: str, database: str) -> None:
    result = run("post", "-", "--url", service_url, stdin=json.dumps([RESULT, RESULT], indent=1))
    assert (result.exit_code, result.stderr) == (0, "2 posted, 0 refused\n")
    assert stored(database) == 2


def test_byte_order_mark_is_skipped(run: RunCommand, service_url: str, database: str) -> None:
    result = run("post", "-", "--url", service_url, stdin=b"\xef\xbb\xbf" + lines(RESULT, RESULT).encode())
    assert (result.exit_code, result.stderr) == (0, "2 posted, 0 refused\n")
    assert stored(database) == 2


def test_results_are_posted_in_batches(run: RunCommand, app: Flask) -> None:
    service = FlakyService(app)
    with listening(service) as url:
        assert run("post", "-", "--url", url, stdin=lines(*numbered(1000))).exit_code == 0
        assert service.requests == 1
        assert run("post", "-", "--url", url, "--batch-size", "300", stdin=lines(*numbered(1000))).exit_code == 0
    assert service.requests == 1 + 4


def test_one_refused_result_costs_two_more_requests(run: RunCommand, app: Flask, database: str) -> None:
    results: list[Any] = numbered(1000)
    results[500] = RESULT | {"region": "XXX"}
    service = FlakyService(app)
    with listening(service) as url:
        assert run("post", "-", "--url", url, stdin=lines(*results)).exit_code == 1
    # the refused batch, the results before the refused one, and those after it
    assert service.requests == 3
    assert stored(database) == 999


def test_refused_results_are_named_and_the_others_are_posted(run: RunCommand, service_url: str, database: str) -> None:
    results: list[Any] = numbered(60)
    for index in (0, 1, 30, 59):
        results[index] = RESULT | {"region": "XXX"}
    results[10] = "nonsense"
    result = run("post", "-", "--url", service_url, "--batch-size", "25", stdin=lines(*results))
    assert result.exit_code == 1
    *refusals, summary = result.stderr.splitlines()
    # a batch is checked for malformed results first, and for unknown regions then
    assert [refusal.partition(":")[0] for refusal in refusals] == [f"line {n}" for n in (11, 1, 2, 31, 60)]
    assert refusals[1].startswith("line 1: region 'XXX' is not registered")
    assert refusals[0].startswith("line 11: the body must be a JSON object")
    assert summary == "55 posted, 5 refused"
    assert stored_numbers(database) == [number for number in range(60) if number not in (0, 1, 10, 30, 59)]


def test_result_that_only_the_database_refuses_is_named(run: RunCommand, service_url: str, database: str) -> None:
    # half of a surrogate pair is valid JSON, but PostgreSQL refuses it
    deep = RESULT | {"x": "\\ud800"}
    text = lines(RESULT, deep, RESULT).replace("\\\\ud800", "\\ud800")
    result = run("post", "-", "--url", service_url, stdin=text)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "2 posted, 1 refused"
    assert result.stderr.startswith("line 2: ")
    assert stored(database) == 2


def test_too_large_result_is_refused_and_the_others_are_posted(
    run: RunCommand, service_url: str, database: str
) -> None:
    large = RESULT | {"x": "x" * MAX_RESULT_BYTES}
    result = run("post", "-", "--url", service_url, stdin=lines(RESULT, large, RESULT))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [f"line 2: is larger than {MAX_RESULT_BYTES} bytes", "2 posted, 1 refused"]
    assert stored(database) == 2


def test_batches_keep_below_the_limit_of_the_service(run: RunCommand, app: Flask, database: str) -> None:
    large = RESULT | {"x": "x" * (MAX_RESULT_BYTES - 500)}
    service = FlakyService(app)
    with listening(service) as url:
        result = run("post", "-", "--url", url, stdin=lines(*[large] * 20))
    assert (result.exit_code, result.stderr) == (0, "20 posted, 0 refused\n")
    # 16 and 4 results
    assert service.requests == 2
    assert stored(database) == 20


def test_from_line_skips_earlier_lines(run: RunCommand, service_url: str, database: str) -> None:
    result = run("post", "-", "--url", service_url, "--from-line", "4", stdin=lines(*numbered(5)))
    assert (result.exit_code, result.stderr) == (0, "2 posted, 0 refused\n")
    assert stored_numbers(database) == [3, 4]


def test_unavailable_service_is_tried_again(run: RunCommand, app: Flask, database: str) -> None:
    with listening(FlakyService(app, answer_with("503 Service Unavailable"))) as url:
        result = run("post", "-", "--url", url, stdin=lines(*numbered(3)))
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        f"{url} is unavailable (not now); trying again in 0.5 s",
        "3 posted, 0 refused",
    ]
    assert stored_numbers(database) == [0, 1, 2]


def test_each_outage_has_its_own_time_for_retries(run: RunCommand, app: Flask, database: str) -> None:
    outage = answer_with("503 Service Unavailable")
    with listening(FlakyService(app, outage, app, outage, app)) as url:
        # time for one pause, and not for a second one that is longer
        options = ("--batch-size", "1", "--retry-seconds", "0.9")
        result = run("post", "-", "--url", url, *options, stdin=lines(*numbered(2)))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "2 posted, 0 refused")
    assert stored_numbers(database) == [0, 1]


def test_service_that_stays_unavailable_exits_with_75_and_says_what_is_left(
    run: RunCommand, app: Flask, database: str
) -> None:
    faults = [app, answer_with("503 Service Unavailable")]
    options = ("--batch-size", "2", "--retry-seconds", "0")
    with listening(FlakyService(app, *faults)) as url:
        result = run("post", "-", "--url", url, *options, stdin=lines(*numbered(5)))
    assert result.exit_code == 75
    assert result.stderr.splitlines() == [
        "2 posted, 0 refused",
        "line 3 and after were not posted; run again with --from-line 3",
        f"Error: {url} is unavailable: not now",
    ]
    assert stored_numbers(database) == [0, 1]


def test_service_that_does_not_run_exits_with_75(run: RunCommand) -> None:
    options = ("--url", "http://127.0.0.1:1", "--retry-seconds", "0")
    result = run("post", "-", *options, stdin=lines(RESULT))
    assert result.exit_code == 75
    assert result.stderr.splitlines() == [
        "0 posted, 0 refused",
        "line 1 and after were not posted; run again with --from-line 1",
        "Error: http://127.0.0.1:1 is unavailable: Connection refused",
    ]


UNCERTAIN = {
    "lost connection": None,
    "504": answer_with("504 Gateway Timeout"),
    "500": answer_with("500 Internal Server Error"),
    "502 of a proxy": answer_as_another("502 Bad Gateway"),
    "503 of a proxy": answer_as_another("503 Service Unavailable"),
    "an answer without its text": answer_as_another("200 OK", ""),
}


@pytest.mark.parametrize("fault", UNCERTAIN.values(), ids=UNCERTAIN.keys())
def test_batch_without_an_answer_is_not_sent_twice(
    run: RunCommand, app: Flask, database: str, fault: Wsgi | None
) -> None:
    lost = fault is None
    fault = fault or lose_the_answer(app)
    with listening(FlakyService(app, app, fault)) as url:
        result = run("post", "-", "--url", url, "--batch-size", "2", stdin=lines(*numbered(5)))
    assert result.exit_code == 75
    assert result.stderr.splitlines()[:3] == [
        "2 posted, 0 refused",
        "lines 3 to 4 may have been stored: the service did not confirm them. --from-line 3 sends them again",
        "line 5 and after were not posted; run again with --from-line 5",
    ]
    assert stored_numbers(database) == ([0, 1, 2, 3] if lost else [0, 1])


def test_resend_sends_a_batch_without_an_answer_again(run: RunCommand, app: Flask, database: str) -> None:
    with listening(FlakyService(app, lose_the_answer(app))) as url:
        result = run("post", "-", "--url", url, "--resend", stdin=lines(*numbered(2)))
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-1] == "2 posted, 0 refused"
    assert stored_numbers(database) == [0, 1, 0, 1]


def test_signal_leaves_a_true_count(app: Flask, database: str, tmp_path: Path) -> None:
    file = tmp_path / "results.ndjson"
    file.write_text(lines(*numbered(6)))
    reached, released = Event(), Event()

    def hang(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        reached.set()
        released.wait(60)
        return answer_with("503 Service Unavailable")(environ, start_response)

    with (
        listening(FlakyService(app, app, hang)) as url,
        subprocess.Popen(
            [*LEADERBOARD, "post", str(file), "--url", url, "--batch-size", "2"],
            env=environment(SECRET=SECRET),
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert reached.wait(60)
        os.kill(process.pid, signal.SIGTERM)
        _, shown = process.communicate(timeout=60)
        released.set()
    assert process.returncode == 128 + signal.SIGTERM
    assert shown.splitlines() == [
        "2 posted, 0 refused",
        "lines 3 to 4 may have been stored: the service did not confirm them. --from-line 3 sends them again",
        "line 5 and after were not posted; run again with --from-line 5",
    ]
    assert stored_numbers(database) == [0, 1]


def test_wrong_secret_posts_nothing(run: RunCommand, service_url: str, database: str) -> None:
    result = run("post", "-", "--url", service_url, stdin=lines(RESULT), SECRET="other")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "0 posted, 0 refused"
    assert "the Authorization header is not the signature of this body" in result.stderr.splitlines()[-1]
    assert stored(database) == 0


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (answer_as_another("200 OK", "<html>Log in first</html>"), "the answer 200 is not that of a leaderboard"),
        (answer_as_another("302 Found", Location="/login"), "the service redirects to /login; use that URL"),
        (answer_as_another("404 Not Found"), "404 Not Found"),
    ],
)
def test_page_of_something_else_does_not_count_as_stored(
    run: RunCommand, app: Flask, database: str, fault: Wsgi, sentence: str
) -> None:
    with listening(FlakyService(app, fault)) as url:
        result = run("post", "-", "--url", url, stdin=lines(*numbered(2)))
    assert result.exit_code == 1
    first, second, last = result.stderr.splitlines()
    assert (first, second) == ("0 posted, 0 refused", "line 1 and after were not posted; run again with --from-line 1")
    assert sentence in last
    assert stored(database) == 0


@pytest.mark.parametrize("status", ["408 Request Timeout", "425 Too Early", "429 Too Many Requests"])
def test_batch_that_was_not_passed_on_is_sent_again(run: RunCommand, app: Flask, database: str, status: str) -> None:
    with listening(FlakyService(app, answer_as_another(status))) as url:
        result = run("post", "-", "--url", url, stdin=lines(*numbered(2)))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "2 posted, 0 refused")
    assert stored_numbers(database) == [0, 1]


def test_answer_that_never_ends_is_given_up() -> None:
    given_up = Event()

    def drip(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        while not given_up.wait(0.05):
            yield b" "

    with listening(drip) as url:
        with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.5 s"):
            Client(url, SECRET, timeout=0.5).post([b"{}"])
        given_up.set()


def test_missing_secret_posts_nothing(run: RunCommand) -> None:
    result = run("post", "-", stdin=lines(RESULT), SECRET="")
    assert (result.exit_code, result.stderr) == (1, "Error: SECRET is not set; it is needed to sign results\n")


def test_nothing_to_post_is_a_failure(run: RunCommand) -> None:
    result = run("post", "-")
    assert (result.exit_code, result.stderr) == (1, "0 posted, 0 refused\n")


def test_missing_file_is_wrong_usage(run: RunCommand) -> None:
    result = run("post", "/nowhere.json")
    assert result.exit_code == 2
    assert "No such file" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://x:port", "http://["])
def test_invalid_url_is_wrong_usage(run: RunCommand, url: str) -> None:
    result = run("post", "-", "--url", url, stdin=lines(RESULT))
    assert result.exit_code == 2
    assert "Invalid value for --url" in result.stderr


def test_unknown_host_is_not_tried_again() -> None:
    with pytest.raises(ServiceRefused):
        Client("http://no-such-host.invalid", SECRET).post([b"{}"])
