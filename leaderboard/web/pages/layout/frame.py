"""What stands around each page: the navigation, and the filters that pages share."""

from typing import Any

from leaderboard.web.caching.incidents import MAX_DAYS
from leaderboard.web.pages.layout.facets import job_name, window_choices, window_label
from leaderboard.web.pages.layout.state import PageState
from queries import FORMULAS

NAVIGATION = {
    "pages.ranking": "Ranking",
    "pages.network": "Network",
    "pages.models": "Models",
    "pages.gateway": "Gateway",
    "pages.compare": "Compare",
    "pages.formulas": "Formulas",
    "pages.status": "Status",
}
"""The pages in the navigation, by their endpoints."""


def frame_values() -> dict[str, Any]:
    """What every template can use. A page without a state is no view of results."""
    return {"navigation": NAVIGATION, "state": None}


def state_values(state: PageState) -> dict[str, Any]:
    """What the template of a page with a state can use."""
    return {
        "job_label": job_name(state),
        "window_label": window_label(state),
        "window_choices": window_choices(state),
        "formula_numbers": tuple(FORMULAS),
        "incident_window": _incident_window(state),
    }


def _incident_window(state: PageState) -> str:
    """The part of the window in which incidents are looked for, as a sentence has it."""
    since, until = state.time_range
    return "this window" if until - since <= MAX_DAYS else f"the last {MAX_DAYS.days} days of this window"
