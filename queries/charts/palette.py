"""The colours, sizes and spaces of charts, reports and pages.

The pages' style sheet has the same values, and a test compares them. Series and
states can be told apart with each kind of colour blindness; the series go back
to Okabe and Ito, the scale of scores to cividis. Each name has a colour for
light backgrounds and one for dark ones. Text has a contrast of 4.5 with both
surfaces, marks have one of 3.
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
    # states, for text and marks; pages never show them by colour alone
    "good": Shade("#007f6a", "#6fe3c4"),
    "warning": Shade("#8f5f00", "#f2cb45"),
    "bad": Shade("#8a1020", "#ef7f74"),
    # lines and dots, not text
    "series-1": Shade("#074a7c", "#2f7fe0"),
    "series-2": Shade("#e05206", "#e8622a"),
    "series-3": Shade("#00966b", "#35d48c"),
    "series-4": Shade("#d062a8", "#d66fb2"),
    "series-5": Shade("#5c4300", "#f0e442"),
    "series-6": Shade("#1b1f24", "#eef1f4"),
}
"""The names as the style sheet has them: ``--primary`` and so on."""

SCORE_STEPS = (
    *("#00224e", "#083370", "#35456c", "#4f576c", "#666970", "#7d7c78"),
    *("#948e77", "#aea371", "#c8b866", "#e5cf52", "#fee838"),
)
"""Cividis from a score of 0 to 1 in steps of a tenth, for light and dark backgrounds alike."""

FONT_FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
MONOSPACE_FAMILY = "ui-monospace, 'SFMono-Regular', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
"""Addresses have it, so that they line up."""

TEXT_SIZES = {"small": 12, "body": 15, "subtitle": 18, "title": 24}
"""The sizes of text in pixels. Axes and legends are ``small``."""

SPACES = (4, 8, 16, 24, 40)
"""The spaces between things in pixels, from the smallest."""
