"""Orchestrator."""

from typing import Any

from flask import Response

from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.windows import scored_window


@bp.get("/orchestrators/<address>")
def orchestrator(address: str) -> Response:
    """Orchestrator."""
    state = current_state()
    window = scored_window(state.time_range, state.formula)

    def values() -> dict[str, Any]:
        return {"address": address}

    return page_response(state, [window], "orchestrator.html", values)
