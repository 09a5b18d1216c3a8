"""Which jobs of an orchestrator a page is about."""

from dataclasses import replace

import polars as pl

from leaderboard.web.pages.layout.state import PageState
from queries import AI, EventFilter, EventWindow


def events_of(window: EventWindow, address: str) -> pl.DataFrame:
    """The events of one orchestrator. Queries that need no others are quick over these few."""
    return window.collect(lambda events: events.filter(pl.col("orchestrator") == address))


def own_filter(state: PageState, address: str) -> EventFilter:
    """The filter of the page for this orchestrator."""
    return replace(state.event_filter, orchestrator=address)


def with_own_job_type(state: PageState, events: pl.DataFrame) -> PageState:
    """The state for AI jobs, if the URL does not choose and all ``events`` of the orchestrator are of these."""
    if {"job_type", "pipeline", "model"} & state.given.keys():
        return state
    job_types = events["job_type"].unique().cast(pl.String).to_list()
    return replace(state, event_filter=replace(state.event_filter, job_type=AI)) if job_types == [AI] else state
