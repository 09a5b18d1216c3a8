"""Query results rendered as JSON or as files."""

from array import array
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec
import polars as pl

import queries
from leaderboard.results import completion
from leaderboard.serializers import (
    serialize_explanation,
    serialize_gateway_preview,
    serialize_orchestrator,
    serialize_pipelines,
    serialize_rows,
    serialize_scores,
    serialize_top_score,
)
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import JSON, Format, encode_table
from leaderboard.web.pagination import Paging, take_page
from leaderboard.web.params import InvalidParameter
from queries import JOB_COLUMNS, EventFilter, EventWindow, Explanation, Formula

ETAG_BYTES = 12
ETAG_DECIMALS = 9
"""Means differ in their last bits from one computation to the next, so an ETag covers these digits only."""
STREAM_THRESHOLD_BYTES = 4 << 20
"""Longer JSON of results is sent while it is made, and is not cached."""
MAX_HISTORY_ROWS = 100_000

QueryFunction = Callable[..., pl.LazyFrame]

encode = msgspec.json.Encoder().encode


def run_query(query: QueryFunction, window: EventWindow, event_filter: EventFilter, **options: Any) -> pl.DataFrame:
    """The result of a query function over the events of a window. Raises StoreUnavailable and StoreTimeout."""
    return window.collect(lambda events: query(events, event_filter, **options))


def run_aggregated_stats(window: EventWindow, event_filter: EventFilter, formula: Formula) -> pl.DataFrame:
    """The rows of aggregated_stats, made of kept sums where it can be. Raises as ``run_query`` does."""
    if not queries.has_sums(event_filter, formula):
        return run_query(queries.aggregated_stats, window, event_filter, formula=formula)
    warm = event_filter.warm
    return window.collect_sums(
        partial(queries.transcoding_sums, warm=warm, formula=formula),
        ("transcoding_sums", warm, formula),
        partial(queries.stats_of_sums, event_filter=event_filter, formula=formula),
    )


def render_scores(frame: pl.DataFrame, job_type: str, file_format: Format) -> RenderedResponse:
    """The rows of aggregated_stats as ``{orchestrator: {region: scores}}``, or as a file."""
    body = encode(serialize_scores(frame, job_type)) if file_format == JSON else encode_table(frame, file_format)
    return _rendered(body, frame, file_format, "aggregated_stats", job_type)


def render_top_score(frame: pl.DataFrame) -> RenderedResponse:
    """The row of top_ai_score."""
    return RenderedResponse(encode(serialize_top_score(frame)), content_hash(frame, "top_ai_score"))


def render_pipelines(frame: pl.DataFrame, as_of: datetime | None) -> RenderedResponse:
    """The rows of pipelines as ``{"pipelines": [{"id", "models", "regions"}, …]}``."""
    return render_document(serialize_pipelines(frame), as_of)


def render_results(frame: pl.DataFrame, job_type: str, file_format: Format) -> RenderedResponse:
    """The rows of raw_stats as ``{region: [result, …]}``, or as a file. Long JSON is an iterable of its parts."""
    body: bytes | Iterable[bytes]
    if file_format != JSON:
        body = encode_table(completion.result_table(frame, job_type), file_format)
    elif frame["payload"].str.len_bytes().sum() > STREAM_THRESHOLD_BYTES:
        body = completion.JsonByRegion(frame, job_type)
    else:
        body = b"".join(completion.JsonByRegion(frame, job_type))
    return _rendered(body, frame, file_format, "raw_stats", job_type)


def render_history(frame: pl.DataFrame, interval: str, file_format: Format) -> RenderedResponse:
    """The rows of score_history as ``{"interval", "history": [row, …]}``, or as a file.

    Raises InvalidParameter for more than MAX_HISTORY_ROWS.
    """
    if frame.height > MAX_HISTORY_ROWS:
        raise InvalidParameter(
            f"interval {interval} gives {frame.height:,} rows here, and a response has at most {MAX_HISTORY_ROWS:,}; "
            "ask for a longer interval, a shorter window, one region or fewer orchestrators"
        )
    if file_format == JSON:
        body = encode({"interval": interval, "history": serialize_rows(frame)})
    else:
        body = encode_table(frame, file_format)
    return _rendered(body, frame, file_format, "score_history", interval)


def render_incidents(frame: pl.DataFrame, file_format: Format) -> RenderedResponse:
    """The rows of incidents as ``{"incidents": [row, …]}``, or as a file."""
    body = encode({"incidents": serialize_rows(frame)}) if file_format == JSON else encode_table(frame, file_format)
    return _rendered(body, frame, file_format, "incidents")


def render_network_stats(frame: pl.DataFrame, job_type: str, file_format: Format) -> RenderedResponse:
    """The rows of network_stats as ``{"network_stats": [row, …]}``, or as a file."""
    is_json = file_format == JSON
    body = encode({"network_stats": serialize_rows(frame)}) if is_json else encode_table(frame, file_format)
    return _rendered(body, frame, file_format, "network_stats", job_type)


def render_ranking(ranking: pl.DataFrame, paging: Paging, file_format: Format) -> RenderedResponse:
    """One page of the ranking as ``{"leaderboard": [row, …], "total", "next_cursor"}``, or as a file.

    ``next_cursor`` is present if there is another page.
    """
    page, next_cursor = take_page(ranking, paging)
    if file_format == JSON:
        document = {"leaderboard": serialize_rows(page), "total": ranking.height}
        body = encode(document if next_cursor is None else document | {"next_cursor": next_cursor})
    else:
        body = encode_table(page, file_format)
    # pages with equal rows may differ in their total and in the page that follows
    variant = repr((paging.query_hash, paging.limit, ranking.height))
    return _rendered(body, page, file_format, "leaderboard", variant)._replace(next_cursor=next_cursor)


def render_orchestrator(
    orchestrator: str,
    jobs: pl.DataFrame,
    errors: pl.DataFrame,
    classes: pl.DataFrame,
    nodes: pl.DataFrame,
    file_format: Format,
) -> RenderedResponse:
    """The rows of orchestrator_jobs as a file, or as a document with all about the orchestrator.

    ``classes`` has the rows of orchestrator_error_classes, ``nodes`` those of
    service_uris. Each job has its rows of orchestrator_errors, in a file as JSON in a text column.
    """
    by_job = errors.group_by(JOB_COLUMNS, maintain_order=True).agg(errors=_error_as_json())
    rows = jobs.join(by_job, on=JOB_COLUMNS, how="left", nulls_equal=True, maintain_order="left")
    table = rows.with_columns(errors=pl.format("[{}]", pl.col("errors").list.join(",")).fill_null("[]"))
    if file_format == JSON:
        body = encode(serialize_orchestrator(orchestrator, table, classes, nodes))
    else:
        body = encode_table(table, file_format)
    return _rendered(body, table, file_format, orchestrator, content_hash(classes.drop("codes")), content_hash(nodes))


def _error_as_json() -> pl.Expr:
    """A row of orchestrator_errors as a JSON object without its nulls."""
    count = ("results", "count", "share", pl.col("last_seen").dt.epoch("s"))
    bare, full = pl.struct("error_code", "class", *count), pl.struct("error_code", "class", "message", *count)
    has_message = pl.col("message").is_not_null()
    return pl.when(has_message).then(full.struct.json_encode()).otherwise(bare.struct.json_encode())


def render_explanation(explanation: Explanation) -> RenderedResponse:
    """The document of an explanation."""
    tables = (
        explanation.causes,
        explanation.jobs,
        explanation.what_ifs,
        explanation.error_classes,
        explanation.incidents,
    )
    words = explanation.orchestrator, explanation.job_type, *explanation.sentences
    etag = content_hash(pl.DataFrame(), *words, *map(content_hash, tables))
    return RenderedResponse(encode(serialize_explanation(explanation)), etag)


def render_discovery(frame: pl.DataFrame, file_format: Format, *, trusted: bool) -> RenderedResponse:
    """The rows of discovery as ``[{"address", "score"}, …]``, or as a file. With ``trusted``, each score is 1."""
    nodes = frame.with_columns(score=pl.lit(1.0)) if trusted else frame
    if file_format == JSON:
        nodes = nodes.select("address", "score")
        return _rendered(nodes.write_json().encode(), nodes, file_format, "discovery")
    return _rendered(encode_table(nodes, file_format), nodes, file_format, "discovery")


def render_gateway_preview(
    frame: pl.DataFrame, event_filter: EventFilter, min_score: float, file_format: Format
) -> RenderedResponse:
    """The rows of gateway_preview, or those of the filter's orchestrator, as a document or as a file."""
    orchestrator = event_filter.orchestrator
    table = frame if orchestrator is None else frame.filter(pl.col("orchestrator") == orchestrator)
    document = serialize_gateway_preview(frame, table, event_filter, min_score)
    body = encode(document) if file_format == JSON else encode_table(table, file_format)
    return _rendered(body, frame, file_format, "gateway_preview", repr((event_filter, min_score)))


def render_document(document: object, as_of: datetime | None = None) -> RenderedResponse:
    """Any JSON document without numbers that may differ in their last bits."""
    body = encode(document)
    return RenderedResponse(body, blake2b(body, digest_size=ETAG_BYTES).hexdigest(), as_of=as_of)


def _rendered(
    body: bytes | Iterable[bytes], frame: pl.DataFrame, file_format: Format, file_name: str, *variant: str
) -> RenderedResponse:
    etag = content_hash(frame, file_name, file_format.name, *variant)
    return RenderedResponse(body, etag, file_format, file_name)


def content_hash(frame: pl.DataFrame, *variant: str) -> str:
    """A hash of the frame, and of the strings that tell apart what is rendered from equal frames."""
    content = blake2b(repr((variant, frame.columns)).encode(), digest_size=ETAG_BYTES)
    # the hash of a category depends on what else the process has read
    steady = frame.with_columns(
        pl.selectors.float().round(ETAG_DECIMALS), (pl.selectors.categorical() | pl.selectors.enum()).cast(pl.String)
    )
    # a fraction of the time of hashing the rows as text
    content.update(array("Q", steady.hash_rows().to_list()))
    return content.hexdigest()
