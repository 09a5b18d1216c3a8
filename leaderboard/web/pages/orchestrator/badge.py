"""A badge with the score of an orchestrator, for its own web page."""

from typing import Any

from flask import Response

import queries
from leaderboard.web import table_params
from leaderboard.web.media_types import SVG
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.orchestrator.choice import events_of, own_filter, with_own_job_type
from leaderboard.web.windows import scored_window
from queries import Explanation

LABEL = "orchestrator"
CHARACTER_WIDTH, PADDING = 6.6, 6
"""In units of the picture. Text is stretched to its part of the badge, whichever font draws it."""
GREY = "#52606b"
COLOURS = ((0.9, "#007f6a"), (0.7, "#2a6592"), (0.5, "#8f5f00"), (0.0, "#8a1020"))
"""The lowest score of each colour, from the palette of the pages."""


@bp.get("/orchestrators/<address>/badge.svg")
def badge(address: str) -> Response:
    """The score and the rank of an orchestrator as a small picture."""
    address, asked = table_params.parse_address(address), current_state()
    window = scored_window(asked.time_range, asked.formula)

    def values() -> dict[str, Any]:
        state = with_own_job_type(asked, events_of(window, address))
        why = queries.explanation(window.load(), own_filter(state, address), formula=state.formula)
        text = badge_text(why)
        label_width, text_width = (round(len(part) * CHARACTER_WIDTH) + 2 * PADDING for part in (LABEL, text))
        return {
            "label": LABEL,
            "text": text,
            "label_width": label_width,
            "text_width": text_width,
            "padding": PADDING,
            "grey": GREY,
            "colour": _colour(why.score),
        }

    return page_response(asked, [window], "orchestrator_badge.svg", values, SVG)


def badge_text(why: Explanation) -> str:
    """What a badge says."""
    if why.score is None:
        return "unscored" if why.unscored or why.events else "not tested"
    return f"score {formats.score(why.score)}, rank {why.rank} of {why.ranked_count}"


def _colour(score: float | None) -> str:
    return GREY if score is None else next(colour for lowest, colour in COLOURS if score >= lowest)
