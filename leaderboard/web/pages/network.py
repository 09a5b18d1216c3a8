"""Network."""

from typing import Any

from flask import Response

from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.windows import scored_window


@bp.get("/network")
def network() -> Response:
    """Network."""
    state = current_state()
    window = scored_window(state.time_range, state.formula)

    def values() -> dict[str, Any]:
        return {}

    return page_response(state, [window], "network.html", values)
