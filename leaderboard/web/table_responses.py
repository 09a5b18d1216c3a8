"""The answers that are tables: the history of scores, the ranking, and one orchestrator at a glance."""

from collections.abc import Callable
from typing import Any

import polars as pl
from flask import Response
from msgspec import Raw

import queries
from leaderboard.web import responses
from leaderboard.web.media_types import Format
from leaderboard.web.pagination import Paging, page
from leaderboard.web.params import InvalidParameter
from leaderboard.web.responses import Answer
from leaderboard.web.table_params import History
from queries import AI, JOB_COLUMNS, SUM_COLUMNS, TRANSCODING, EventFilter, EventWindow, StoreUnavailable, collect

HISTORY_ROWS = 100_000
"""The most rows that one answer of score_history has."""

Results = Callable[[str], EventWindow]


def of_history(window: EventWindow, query: EventFilter, history: History, form: Format) -> Response:
    """The rows of score_history as ``{"interval", "history": [row, …]}``."""

    def compute() -> Answer:
        spans = queries.score_history(
            window.load(),
            query,
            interval=history.interval,
            orchestrators=history.orchestrators,
            group_columns=history.by,
        )
        frame = collect(spans.drop(*SUM_COLUMNS))
        if frame.height > HISTORY_ROWS:
            raise InvalidParameter(
                f"interval {history.interval} gives {frame.height:,} rows here, and an answer has {HISTORY_ROWS:,} at "
                "most; ask for a longer interval, a shorter window, one region or fewer orchestrators"
            )
        return responses.made(
            frame,
            lambda: {"interval": history.interval, "history": rows(frame)},
            form,
            window.as_of,
            "score_history",
            history.interval,
        )

    return responses.kept(("score_history", query, history), window, form, compute)


def of_ranking(window: EventWindow, query: EventFilter, min_events: int, paging: Paging, form: Format) -> Response:
    """A page of leaderboard as ``{"leaderboard": [row, …], "total", "next"}``, next where there are more."""

    def compute() -> Answer:
        frame = collect(queries.ranking(window.load(), query, min_events=min_events))
        part, cursor = page(frame, paging)
        more = {} if cursor is None else {"next": cursor}
        return responses.made(
            part,
            lambda: {"leaderboard": rows(part), "total": frame.height, **more},
            form,
            window.as_of,
            "leaderboard",
            # the same rows are followed by others in another order
            repr((paging.question, paging.limit, frame.height)),
        )._replace(cursor=cursor)

    return responses.kept(("leaderboard", query, min_events, paging), window, form, compute)


def of_orchestrator(window: EventWindow, results: Results, query: EventFilter, form: Format) -> Response:
    """What the query's orchestrator did, and where it failed, as ``{"orchestrator", …, "jobs": [row, …]}``.

    ``results`` gives its results of a job type, over the same window.
    """

    def compute() -> Answer:
        jobs = collect(queries.orchestrator_jobs(window.load(), query))
        read = [results(job_type) for job_type in (TRANSCODING, AI)]
        moments = [part.as_of for part in read if part.as_of is not None]
        if moments and window.as_of is None:
            # what is kept is as new as its window
            raise StoreUnavailable("the database went away while the results were read")
        failed = collect(queries.orchestrator_errors(pl.concat([part.load() for part in read]), query))
        entry = pl.struct("error_code", "results", "count", "share", pl.col("last_seen").dt.epoch("s"))
        errors = failed.group_by(JOB_COLUMNS, maintain_order=True).agg(errors=entry)
        frame = jobs.join(errors, on=JOB_COLUMNS, how="left", nulls_equal=True, maintain_order="left")
        text = pl.format("[{}]", pl.col("errors").list.eval(pl.element().struct.json_encode()).list.join(","))
        return responses.made(
            frame.with_columns(errors=text.fill_null("[]")),
            lambda: _glance(frame.with_columns(pl.col("errors").fill_null([])), query),
            form,
            window.as_of and min([window.as_of, *moments]),
            query.orchestrator,
        )

    if window.as_of is not None:
        return responses.respond(compute(), form, query.orchestrator)
    return responses.kept((query.orchestrator, query), window, form, compute)


def rows(frame: pl.DataFrame) -> list[dict[str, Any]] | Raw:
    """The rows as JSON has them: times in whole unix seconds, and what there is not is absent."""
    there = [column.name for column in frame if column.null_count() < frame.height]
    plain = frame.select(there).with_columns(pl.selectors.datetime(time_zone="*").dt.epoch("s"))
    if not plain.is_empty() and not any(column.null_count() for column in plain):
        # the thousands of a history, at a third of the time
        return Raw(plain.write_json().encode())
    return [{name: value for name, value in row.items() if value is not None} for row in plain.iter_rows(named=True)]


def _glance(frame: pl.DataFrame, query: EventFilter) -> dict[str, Any]:
    pipelines = frame.drop_nulls("pipeline").group_by("pipeline").agg(pl.col("model").unique().sort()).sort("pipeline")
    return {
        "orchestrator": query.orchestrator,
        "job_types": frame["job_type"].unique().sort().to_list(),
        "regions": frame["region"].unique().sort().to_list(),
        "pipelines": [{"id": pipeline, "models": models} for pipeline, models in pipelines.iter_rows()],
        "jobs": rows(frame.drop("orchestrator")),
    }
