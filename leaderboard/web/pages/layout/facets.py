"""The choices of a page's filters: the jobs and the regions that have results, each a link."""

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from leaderboard.web.pages.layout.state import WINDOW_NAMES, PageState
from queries import AI, TRANSCODING
from queries.times import MIN_TIME


class Choice(NamedTuple):
    """One value of a filter: its label, the URL of the page with it, and whether it is the current one."""

    label: str
    url: str
    is_current: bool


class PipelineChoices(NamedTuple):
    """The jobs of one pipeline."""

    pipeline: Choice
    models: tuple[Choice, ...]


def job_choices(state: PageState, pipelines: pl.DataFrame) -> tuple[tuple[Choice, ...], tuple[PipelineChoices, ...]]:
    """Transcoding and all AI jobs, and the jobs of each of the rows of ``queries.pipelines``."""
    now = state.event_filter
    is_ai = now.job_type == AI
    kinds = (
        Choice("Transcoding", state.job_link(TRANSCODING), not is_ai),
        Choice("All AI jobs", state.job_link(AI), is_ai and now.pipeline is None),
    )
    jobs = pipelines.drop_nulls("model").select(pl.col("pipeline", "model").cast(pl.String)).unique()
    by_pipeline: dict[str, list[str]] = {}
    for pipeline, model in jobs.sort("pipeline", "model").iter_rows():
        by_pipeline.setdefault(pipeline, []).append(model)
    return kinds, tuple(
        PipelineChoices(
            Choice(pipeline, state.job_link(AI, pipeline), is_ai and (now.pipeline, now.model) == (pipeline, None)),
            tuple(
                Choice(model, state.job_link(AI, pipeline, model), (now.pipeline, now.model) == (pipeline, model))
                for model in models
            ),
        )
        for pipeline, models in by_pipeline.items()
    )


def region_choices(state: PageState, regions: Iterable[str]) -> tuple[Choice, ...]:
    """All regions, and each of these."""
    now = state.event_filter.region
    codes = sorted({*regions, *([now] if now else [])})
    return (
        Choice("All regions", state.link(region=None), now is None),
        *(Choice(code, state.link(region=code), code == now) for code in codes),
    )


def window_choices(state: PageState) -> tuple[Choice, ...]:
    """The windows that end now."""
    return tuple(
        Choice(label, state.window_link(name), state.window_name == name) for name, label in WINDOW_NAMES.items()
    )


def job_name(state: PageState) -> str:
    """The job of a page, as its title has it."""
    now = state.event_filter
    if now.job_type == TRANSCODING:
        return "Transcoding"
    if now.pipeline is None:
        return "All AI jobs"
    return f"{now.pipeline}, {now.model}" if now.model else now.pipeline


def window_label(state: PageState) -> str:
    """The window of a page, as its title has it."""
    name = state.window_name
    since, until = state.time_range
    if name in WINDOW_NAMES:
        return f"last {WINDOW_NAMES[name]}"
    if name is not None:
        return f"last {(until - since).total_seconds() / 3600:g} hours"
    start = "the first result" if since == MIN_TIME else f"{since:%Y-%m-%d %H:%M} UTC"
    return f"{start} to {f'{until:%Y-%m-%d %H:%M} UTC' if 'until' in state.given else 'now'}"
