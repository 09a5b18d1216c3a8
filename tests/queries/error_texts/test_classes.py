"""Classes of errors."""

import re

import polars as pl
import pytest

from queries import ERROR_CLASSES, classify_errors

NAMES = [found.name for found in ERROR_CLASSES]


def classify(error_code: str | None, message: str | None = None) -> str:
    columns = (pl.lit(text, pl.String) for text in (error_code, message))
    return str(pl.select(classify_errors(*columns)).item())


def test_classes_have_names_of_their_own_and_the_last_takes_the_rest() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in NAMES)
    assert NAMES[-1] == classify("what is that?") == classify(None) == classify("") == "other"


@pytest.mark.parametrize(("text", "name"), [(text, found.name) for found in ERROR_CLASSES for text in found.examples])
def test_examples_are_of_their_class(text: str, name: str) -> None:
    assert classify(text) == name
    assert classify(text.upper()) == name
    assert classify("E", text) == name


@pytest.mark.parametrize(
    ("error_code", "message", "name"),
    [
        ("503", '{"error":{"message":"insufficient capacity"}}', "busy"),
        ("503", '{"error":{"message":"Service Unavailable Error"}}', "http_5xx"),
        ("500", '{"detail":{"msg":"CUDA out of memory. Tried to allocate 7 GiB"}}', "out_of_memory"),
        ("HTTP-STATUS-503", None, "http_5xx"),
        ("invalid status code 502", None, "http_5xx"),
        ("404", "404 page not found", "http_4xx"),
        ('Post "https://a:1/b": dial tcp 192.0.2.10:1: connect: connection refused', "", "refused"),
        ('Post "https://a:1/b": EOF', "", "refused"),
        ('Post "https://a:1/b": dial tcp: lookup a on 127.0.0.11:53: no such host', "", "dns"),
        ("dial tcp: lookup a: i/o timeout", "", "dns"),
        ("read tcp 10.0.0.1:5->10.0.0.2:6: i/o timeout", "", "timeout"),
        ("net/http: TLS handshake timeout", "", "timeout"),
        ("http: server gave HTTP response to HTTPS client", "", "tls"),
        ("tls: failed to verify certificate: x509: certificate has expired", "", "tls"),
        ("stream playback probe failed: exit status 1", "failed to execute live video stream", "decoding"),
        ("stream playback probe failed: context deadline exceeded", "failed to execute live video stream", "timeout"),
        ("ffmpeg: stream aborted: gateway reported orchestrator busy", "", "busy"),
        ("ffmpeg: stream aborted: gateway reported no orchestrators available", "", "no_orchestrator"),
        ('rpc error: code = Unavailable desc = "transport: Error while dialing"', "", "refused"),
        ("read 480 frames", "", "other"),
        ("exit status 255", "", "other"),
    ],
)
def test_texts_of_clients_and_gateways(error_code: str, message: str | None, name: str) -> None:
    assert classify(error_code, message) == name


@pytest.mark.parametrize("text", ["x" * 10**6, "lookup " * 10**5, "no " * 10**5, "é" * 10**6, "503\n" * 10**5])
def test_long_texts_are_classified(text: str) -> None:
    assert classify(text, text) in NAMES
