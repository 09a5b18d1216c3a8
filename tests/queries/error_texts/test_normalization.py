"""Error texts without what differs between occurrences of the same error."""

from unicodedata import category

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queries import normalize_error
from queries.error_texts import message_text
from queries.error_texts.normalization import MAX_CHARACTERS

REFUSED = 'Post "https://{0}:{1}/text-to-image": dial tcp {0}:{1}: connect: connection refused'
# what the rules look for, and what stands around it
FRAGMENTS = (
    *":/.-_=?#[](){}@%\\'\"<>…é日gsTZ \n\x00\u202e",
    *("12", "12345", "1.2.3.4", "::1", "12:34", "2026-09-01", "1m", "2.5s", "7.03 GiB", "µs", "deadbeef", "0x1f"),
    *("https://", "host.example.org", ":8935", "localhost", "id", "port", "attempt ", "lookup ", " on ", "\x1b[31m"),
    *("certificate is valid for ", ", not "),
)


def normalize(text: str) -> str:
    found = pl.select(normalize_error(pl.lit(text))).item()
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        (
            REFUSED.format("203.0.113.7", 9935),
            'Post "https://…/text-to-image": dial tcp …: connect: connection refused',
        ),
        ('Get "http://a.example.org/x?token=secret#y": EOF', 'Get "http://…/x": EOF'),
        ("http://user:secret@a.example.org:80/x: EOF", "http://…/x: EOF"),
        ("read tcp 10.0.0.1:54321->[2001:db8::1]:8935: i/o timeout", "read tcp …->…: i/o timeout"),
        ("dial tcp: lookup gateway on 127.0.0.11:53: no such host", "dial tcp: lookup …: no such host"),
        ("lookup a.example.org: server misbehaving", "lookup …: server misbehaving"),
        ("x509: certificate is valid for a.org, b.org, not c.org", "x509: certificate is valid for …, not …"),
        ("current time 2026-09-01T12:00:00Z is after 2026-08-31T00:00:00Z", "current time … is after …"),
        ("no orchestrators available within 2s timeout", "no orchestrators available within … timeout"),
        ("stream tester-low-9a1b0f6d-1774559730000000000 failed", "stream tester-low-… failed"),
        ("manifestID=33827ae9-d223-41e5-86a1-7fc5d18ffd46 seqNo=12 dur=2s", "manifestID=… seqNo=… dur=…"),
        ("[h264_nvenc @ 0x46d8300] failed: out of memory (10)", "[h264_nvenc @ …] failed: out of memory (10)"),
        ("Tried to allocate 7.03 GiB. GPU 0 has 23.69 GiB", "Tried to allocate … GiB. GPU … has … GiB"),
        ("a\x00b\x1b[31mred\x1b[0m\r\n\tx\u202ey  z ", "a bred x y z"),
    ],
)
def test_what_differs_between_occurrences_is_left_out(text: str, normalized: str) -> None:
    assert normalize(text) == normalized


@pytest.mark.parametrize(
    "text",
    [
        *("", "503", "HTTP-STATUS-503", "NoOrchestrators", "exit status 1", "HTTP status code 404", "std::bad_alloc"),
        *("h264_nvenc 1080p30fps16x9", "stable-diffusion-1.5", "torch.cuda.OutOfMemoryError: CUDA out of memory"),
    ],
)
def test_what_tells_errors_apart_stays(text: str) -> None:
    assert normalize(text) == text


def test_null_stays_null() -> None:
    assert pl.select(normalize_error(pl.lit(None, pl.String))).item() is None


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=200).map("".join))
@example("x" * (MAX_CHARACTERS - 5) + "deadbeef")
@example("x" * (MAX_CHARACTERS - 1) + " y")
@example("lookup a on 1m on 2s")
def test_normalizing_twice_changes_nothing(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert len(once) <= MAX_CHARACTERS
    assert "Cc" not in map(category, once)


@settings(deadline=None)
@given(st.ip_addresses(), st.integers(1, 65535))
def test_hosts_and_ports_make_no_difference(host: object, port: int) -> None:
    bracketed = f"[{host}]" if ":" in str(host) else str(host)
    assert normalize(REFUSED.format(bracketed, port)) == normalize(REFUSED.format("a.example.org", 1))


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('{"error":{"message":"insufficient capacity"}}', "insufficient capacity"),
        ('{"detail":{"msg":"CUDA out of memory"}}', "CUDA out of memory"),
        ('{"detail":[{"msg":"field required"}]}', "field required"),
        ('{"error":"late"}', "late"),
        ('{"other":1}', '{"other":1}'),
        ("{no JSON", "{no JSON"),
        ("<html><head><title>502 Bad Gateway</title></head>", "502 Bad Gateway"),
        ("plain", "plain"),
    ],
)
def test_message_of_a_body_is_its_sentence(message: str, text: str) -> None:
    assert pl.select(message_text(pl.lit(message))).item() == text
