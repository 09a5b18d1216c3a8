"""The errors of simulated AI jobs, as the testers post them: a code, often a message, and how long it took."""

from typing import NamedTuple

import polars as pl

from leaderboard.simulation.draws import choose


class Failure(NamedTuple):
    """An error. ``code`` may hold <region>, <path> and <port>, which differ from test to test."""

    code: str
    message: str
    seconds: float


def _http(status: int, message: str, seconds: float) -> Failure:
    return Failure(str(status), f'{{"error":{{"message":"{message}"}}}}', seconds)


def _transport(reason: str, seconds: float) -> Failure:
    return Failure(f'Post "https://gateway-<region>.example.org:9935/<path>": {reason}', "", seconds)


BUSY = (
    _http(503, "insufficient capacity", 0.4),
    _http(503, "insufficient capacity", 0.4),
    _http(503, "no orchestrators available within 5 second timeout", 5.0),
    _http(429, "too many requests", 0.2),
)
BROKEN = (
    _http(500, "CUDA out of memory. Tried to allocate 2.50 GiB", 1.5),
    _http(500, "CUDA out of memory. Tried to allocate 512.00 MiB", 1.5),
    _http(500, "Internal Server Error", 0.8),
    _http(500, "payment sender is not authorized", 0.3),
    _http(502, "Bad Gateway", 1.0),
    _http(504, "context deadline exceeded", 60.0),
    _http(400, "model is not supported", 0.2),
    _transport("read tcp 10.0.0.7:<port>->192.0.2.10:9935: read: connection reset by peer", 3.0),
    _transport("EOF", 2.0),
    _transport("context deadline exceeded (Client.Timeout exceeded while awaiting headers)", 90.0),
)
CUT_OFF = (
    _transport("dial tcp 192.0.2.10:9935: connect: connection refused", 0.05),
    _transport("dial tcp 192.0.2.10:9935: connect: connection refused", 0.05),
    _transport("dial tcp 192.0.2.10:9935: i/o timeout", 30.0),
    _transport("dial tcp: lookup gateway-<region>.example.org on 10.0.0.2:53: no such host", 0.02),
    _transport("tls: failed to verify certificate: x509: certificate has expired or is not yet valid", 0.15),
)

_PLAYBACK = "failed to execute live video stream"
LIVE_BROKEN = (
    Failure("stream playback probe failed: exit status 1", _PLAYBACK, 0.0),
    Failure("stream playback probe failed: exit status 1", _PLAYBACK, 0.0),
    Failure("stream playback probe failed: context deadline exceeded", _PLAYBACK, 0.0),
    Failure("stream playback probe failed: no decodable frames", _PLAYBACK, 0.0),
)
LIVE_CUT_OFF = (
    Failure(CUT_OFF[0].code, "failed to publish the stream", 0.0),
    Failure("stream playback probe failed: context deadline exceeded", _PLAYBACK, 0.0),
)


def failure(
    busy: tuple[Failure, ...], broken: tuple[Failure, ...], cut_off: tuple[Failure, ...], field: str
) -> pl.Expr:
    """A field of the Failure that befell each failed test (columns of ``with_conditions``)."""
    draw = pl.col("kind_draw")
    code, broken_code, cut_off_code = (
        choose(draw, [getattr(failure, field) for failure in failures]) for failures in (busy, broken, cut_off)
    )
    return pl.when("cut_off").then(cut_off_code).when("broken").then(broken_code).otherwise(code)


def filled_in(code: pl.Expr, path: pl.Expr) -> pl.Expr:
    """The code with the region, the path and the port of each test (columns region and kind_draw)."""
    port = (32_768 + pl.col("detail_draw") * 28_000).cast(pl.Int64).cast(pl.String)
    region = pl.col("region").str.to_lowercase()
    return (
        code.str.replace("<region>", region, literal=True)
        .str.replace("<region>", region, literal=True)
        .str.replace("<path>", path, literal=True)
        .str.replace("<port>", port, literal=True)
    )
