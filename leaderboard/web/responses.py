"""Frames and documents as JSON answers."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import polars as pl
from flask import Response, g, request

from leaderboard.results import completion
from leaderboard.web import media_types, ranges
from leaderboard.web.cache import remember
from leaderboard.web.media_types import JSON, Format
from queries import AI, EventFilter, EventWindow, collect, raw_stats

CACHE_CONTROL = "public, max-age=30, stale-while-revalidate=15"
DATA_AS_OF = "X-Data-As-Of"
ETAG_BYTES = 12
LONG = 1 << 20
"""Bytes of results from which an answer is sent while it is made."""

Question = Callable[[pl.LazyFrame, EventFilter], pl.LazyFrame]

encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """A document as JSON or a file, and the name of its content; as a tuple it is small wherever it is kept."""

    body: bytes | Iterator[bytes]
    etag: str
    as_of: datetime | None = None
    """Where the database is away, the moment that the content is of."""
    cursor: str | None = None
    """Where there is more, what asks for it."""


def of_window(
    question: Question,
    window: EventWindow,
    query: EventFilter,
    render: Callable[[pl.DataFrame, EventFilter], Any],
    form: Format | None = None,
) -> Response:
    """The answer to a question about a window; its file has the rows as the question gives them."""
    return kept((question.__name__, query), window, form, lambda: ask(question, window, query, render, form))


def kept(key: tuple[Any, ...], window: EventWindow, form: Format | None, compute: Callable[[], Answer]) -> Response:
    """An answer about a window, computed once as long as that has the same events.

    ``key`` begins with what a file is called; ``form`` is None where there is one format alone.
    """
    if window.version is None:
        return respond(compute(), form, key[0])
    answer = remember((*key, (form or JSON).mimetype, window.version), None, compute)
    # equal events are kept under one key, whenever they were asked for
    return respond(answer._replace(as_of=window.as_of), form, key[0])


def ask(
    question: Question,
    window: EventWindow,
    query: EventFilter,
    render: Callable[[pl.DataFrame, EventFilter], Any],
    form: Format | None = None,
) -> Answer:
    """The answer to a question about a window."""
    frame = collect(question(window.load(), query))
    return made(frame, lambda: render(frame, query), form, window.as_of, question.__name__, query.job_type)


def made(
    frame: pl.DataFrame, document: Callable[[], Any], form: Format | None, as_of: datetime | None, *rendered: str
) -> Answer:
    """The answer that has these rows, as a file or as the document that tells of them.

    Its content is named by the frame and how it is ``rendered``: means differ
    in their last bits from one computation to the next.
    """
    body = media_types.file(frame, form or JSON)
    if body is None:
        body = encode(document())
    else:
        rendered = (*rendered, form.mimetype)
    return Answer(body, _name(frame.with_columns(pl.selectors.float().round(9)), *rendered), as_of)


def of_document(document: object, as_of: datetime | None = None) -> Response:
    """The answer that is this document, as it was then where it is not of now."""
    body = encode(document)
    return respond(Answer(body, blake2b(body, digest_size=ETAG_BYTES).hexdigest(), as_of))


def of_results(window: EventWindow, query: EventFilter, form: Format) -> Response:
    """The rows of raw_stats as ``{region: [result, …]}``, in the order of the rows, or as a file.

    A long document is sent while it is made, but only once all of it has been read.
    """
    frame = collect(raw_stats(window.load(), query))
    rendered = ("raw_stats", query.job_type)
    if form is JSON:
        parts = completion.by_region(frame, query.job_type)
        body = parts if frame["payload"].str.len_bytes().sum() > LONG else b"".join(parts)
    else:
        body = media_types.file(completion.table(frame, query.job_type), form)
        rendered = (*rendered, form.mimetype)
    return respond(Answer(body, _name(frame, *rendered), window.as_of), form, "raw_stats")


def respond(answer: Answer, form: Format | None = None, name: str = "") -> Response:
    """A good answer, which caches may keep for a while and ask about by its ETag.

    The ETag is weak, as the same content may be compressed in several ways.
    ``form`` is None where there is one format alone, ``name`` what a file is called.
    """
    if request.if_none_match.contains_weak(answer.etag):
        response = Response(status=304)
    else:
        response = Response(answer.body, content_type=(form or JSON).mimetype)
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.set_etag(answer.etag, weak=True)
    if form is not None:
        response.vary.add("Accept")
        if form is not JSON:
            response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form.name}"'
        if form.in_parts and response.status_code == 200:
            ranges.cut(response, request)
    if answer.cursor is not None:
        asked = [(key, value) for key, value in request.args.items(multi=True) if key != "cursor"]
        response.headers["Link"] = f'<{request.path}?{urlencode([*asked, ("cursor", answer.cursor)])}>; rel="next"'
    if answer.as_of is not None:
        response.headers[DATA_AS_OF] = answer.as_of.isoformat()
    g.answer_etag = answer.etag
    return response


def scores(frame: pl.DataFrame, query: EventFilter) -> dict[str, dict[str, dict[str, float]]]:
    """The rows of aggregated_stats as ``{orchestrator: {region: scores}}``.

    Transcoding scores are given by their documented names as well.
    """
    document: dict[str, dict[str, dict[str, float]]] = {}
    # far quicker than by the row
    columns = (column.to_list() for column in frame)
    for orchestrator, region, success_rate, round_trip_score, score in zip(*columns, strict=True):
        fields = {"success_rate": success_rate, "round_trip_score": round_trip_score, "score": score}
        if query.job_type != AI:
            fields["latency_score"], fields["total_score"] = round_trip_score, score
        document.setdefault(orchestrator, {})[region] = fields
    return document


def top_score(frame: pl.DataFrame, query: EventFilter) -> dict[str, Any]:
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


def pipelines(frame: pl.DataFrame, query: EventFilter) -> dict[str, list[dict[str, Any]]]:
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
