"""Frames and documents as JSON answers."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import polars as pl
from flask import Response, g, request

from leaderboard import results
from leaderboard.caching import remember
from queries import AI, Query, Window, collect, raw_stats

CACHE_CONTROL = "public, max-age=30, stale-while-revalidate=15"
DATA_AS_OF = "X-Data-As-Of"
ETAG_BYTES = 12
LONG = 1 << 20
"""Bytes of results from which an answer is sent while it is made."""

Question = Callable[[pl.LazyFrame, Query], pl.LazyFrame]

encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A document as JSON, and the name of its content; as a tuple it is small wherever it is kept."""

    body: bytes | Iterator[bytes]
    etag: str
    as_of: datetime | None = None
    """Where the database is away, the moment that the content is of."""


def of_window(
    question: Question, window: Window, query: Query, render: Callable[[pl.DataFrame, Query], Any]
) -> Response:
    """The answer to a question about a window, computed once as long as the window has the same events."""
    if window.version is None:
        return respond(ask(question, window, query, render))
    key = (question.__name__, query, window.version)
    answer = remember(key, None, lambda: ask(question, window, query, render))
    # equal events are kept under one key, whenever they were asked for
    return respond(answer._replace(as_of=window.as_of))


def ask(question: Question, window: Window, query: Query, render: Callable[[pl.DataFrame, Query], Any]) -> Answer:
    """The answer to a question about a window.

    Its content is named by the frame: means differ in their last bits from
    one computation to the next.
    """
    frame = collect(question(window.read(), query))
    return Answer(
        encode(render(frame, query)),
        _name(frame.with_columns(pl.selectors.float().round(9)), question.__name__, query.job_type),
        window.as_of,
    )


def of_document(document: object, as_of: datetime | None = None) -> Response:
    """The answer that is this document, as it was then where it is not of now."""
    body = encode(document)
    return respond(Answer(body, blake2b(body, digest_size=ETAG_BYTES).hexdigest(), as_of))


def of_results(window: Window, query: Query) -> Response:
    """The rows of raw_stats as ``{region: [result, …]}``, in the order of the rows.

    A long answer is sent while it is made, but only once all of it has been read.
    """
    frame = collect(raw_stats(window.read(), query))
    parts = results.by_region(frame, query.job_type)
    body = parts if frame["payload"].str.len_bytes().sum() > LONG else b"".join(parts)
    return respond(Answer(body, _name(frame, "raw_stats", query.job_type), window.as_of))


def respond(answer: Answer) -> Response:
    """A good answer, which caches may keep for a while and ask about by its ETag.

    The ETag is weak, as the same content may be compressed in several ways.
    """
    if request.if_none_match.contains_weak(answer.etag):
        response = Response(status=304)
    else:
        response = Response(answer.body, mimetype="application/json")
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.set_etag(answer.etag, weak=True)
    if answer.as_of is not None:
        response.headers[DATA_AS_OF] = answer.as_of.isoformat()
    g.answer_etag = answer.etag
    return response


def scores(frame: pl.DataFrame, query: Query) -> dict[str, dict[str, dict[str, float]]]:
    """The rows of aggregated_stats as ``{orchestrator: {region: scores}}``.

    Transcoding scores are given by their documented names as well.
    """
    document: dict[str, dict[str, dict[str, float]]] = {}
    for orchestrator, region, success_rate, round_trip_score, score in frame.iter_rows():
        fields = {"success_rate": success_rate, "round_trip_score": round_trip_score, "score": score}
        if query.job_type != AI:
            fields |= {"latency_score": round_trip_score, "total_score": score}
        document.setdefault(orchestrator, {})[region] = fields
    return document


def top_score(frame: pl.DataFrame, query: Query) -> dict[str, Any]:
    """The row of top_ai_score, or nothing where there is none."""
    for orchestrator, region, pipeline, model, score in frame.iter_rows():
        return {
            "region": region,
            "orchestrator": orchestrator,
            "value": score,
            "model": model,
            "pipeline": pipeline,
        }
    return {}


def pipelines(frame: pl.DataFrame, query: Query) -> dict[str, list[dict[str, Any]]]:
    """The rows of pipelines as ``{"pipelines": [{"id", "models", "regions"}, …]}``, all three lists sorted."""
    return {
        "pipelines": [
            {"id": pipeline, "models": _sorted(rows["model"]), "regions": _sorted(rows["region"])}
            for (pipeline,), rows in frame.group_by("pipeline", maintain_order=True)
        ]
    }


def _sorted(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value is not None})


def _name(frame: pl.DataFrame, *rendered: str) -> str:
    """The name of a frame's content as it is rendered for one question."""
    content = blake2b(repr(rendered).encode(), digest_size=ETAG_BYTES)
    for rows in frame.iter_slices():
        content.update(rows.write_csv().encode())
    return content.hexdigest()
