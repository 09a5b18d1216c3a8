"""Reading results from a file."""

import io
import json

import pytest

from leaderboard.posting.reader import read_results
from leaderboard.results.validation import MAX_RESULT_BYTES


def read(text: bytes) -> list[tuple[int, bytes]]:
    return [(result.number, result.body) for result in read_results(io.BytesIO(text))]


@pytest.mark.parametrize(
    ("text", "results"),
    [
        (b"", []),
        (b"\n \n", []),
        (b'{"a":1}', [(1, b'{"a":1}')]),
        (b'{"a":1}\n{"a":2}\n', [(1, b'{"a":1}'), (2, b'{"a":2}')]),
        (b'\n{"a":1}\r\n\n {"a":2} \n', [(2, b'{"a":1}'), (4, b'{"a":2}')]),
        (b'nonsense\n{"a":1}\n', [(1, b"nonsense"), (2, b'{"a":1}')]),
        (b'{"a":1}\nnonsense', [(1, b'{"a":1}'), (2, b"nonsense")]),
        (b'{\n"a":\n1}\n', [(1, b'{ "a": 1}')]),
        (b'[{"a":1},{"a":2}]', [(1, b'{"a":1}'), (2, b'{"a":2}')]),
        (b' [\n{"a":\n1},\n{"a":2}\n]\n', [(1, b'{"a": 1}'), (2, b'{"a":2}')]),
        (b"[]", []),
        # an array that is cut short is lines that the service refuses
        (b'[{"a":1},\n{"a":2}', [(1, b'[{"a":1},'), (2, b'{"a":2}')]),
    ],
)
def test_lines_objects_and_arrays_are_results(text: bytes, results: list[tuple[int, bytes]]) -> None:
    assert read(text) == results


@pytest.mark.parametrize("text", [b'{"a":1}\n{"a":2}', b'{\n"a":1}', b'[{"a":1}]', b""])
def test_byte_order_mark_is_skipped(text: bytes) -> None:
    assert read(b"\xef\xbb\xbf" + text) == read(text)


def test_nested_array_in_a_result_stays_in_it() -> None:
    result = json.dumps({"errors": [{"count": 1}], "x": "]["}).encode()
    assert read(b"[" + result + b"]") == [(1, result)]


def test_lines_after_an_invalid_first_line_keep_their_numbers_beyond_what_is_looked_ahead() -> None:
    long_line = b'{"x":"' + b"x" * MAX_RESULT_BYTES + b'"}'
    results = read(b"nonsense\n" + long_line + b'\n{"a":1}\n\n{"a":2}')
    assert [(number, len(body)) for number, body in results] == [(1, 8), (2, len(long_line)), (3, 7), (5, 7)]


def test_lines_are_read_one_at_a_time() -> None:
    file = io.BytesIO(b'{"a":1}\n{"a":2}\n{"a":3}\n')
    next(iter(read_results(file)))
    assert file.read() == b'{"a":2}\n{"a":3}\n'
