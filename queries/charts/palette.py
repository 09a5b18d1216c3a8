"""The colours of charts, reports and pages. The pages' style sheet has the same values, and a test compares them.

Series and states can be told apart with each kind of colour blindness; the
series go back to Okabe and Ito, the scale of scores to cividis. Each name has a
colour for light backgrounds and one for dark ones.
"""

from typing import NamedTuple


class Shade(NamedTuple):
    """One colour of the palette on light and on dark backgrounds, as ``#rrggbb``."""

    light: str
    dark: str


PALETTE = {
    "surface": Shade("#ffffff", "#12181d"),
    "surface-raised": Shade("#f3f6f8", "#1c242b"),
    "border": Shade("#cdd6dd", "#36434d"),
    "text": Shade("#17212a", "#e8edf1"),
    "text-muted": Shade("#52606b", "#a5b2bd"),
    "link": Shade("#0b5c93", "#7cc0ee"),
    # measured values, what stands behind them, and what is highlighted
    "primary": Shade("#2a6592", "#7fb8e0"),
    "primary-soft": Shade("#b5cfe1", "#2f4f67"),
    "accent": Shade("#b3400f", "#ffa066"),
    # states; pages never show them by colour alone
    "good": Shade("#00704f", "#4cc9a0"),
    "warning": Shade("#8a5a00", "#e8b64c"),
    "bad": Shade("#b02a30", "#ff8f8f"),
    "series-1": Shade("#0072b2", "#56b4e9"),
    "series-2": Shade("#c24e00", "#ff9d5c"),
    "series-3": Shade("#007a59", "#3fd0a4"),
    "series-4": Shade("#a8477f", "#f0a3cc"),
    "series-5": Shade("#7a6400", "#f0e442"),
    "series-6": Shade("#454b52", "#c9d1d8"),
}
"""The names as the style sheet has them: ``--primary`` and so on."""

SCORE_STEPS = (
    *("#00224e", "#083370", "#35456c", "#4f576c", "#666970", "#7d7c78"),
    *("#948e77", "#aea371", "#c8b866", "#e5cf52", "#fee838"),
)
"""Cividis from a score of 0 to 1 in steps of a tenth, for light and dark backgrounds alike."""
