"""How notebooks show and keep charts."""

from typing import Any

import altair as alt
import vl_convert

from queries.charts.wording import visible_values

PADDING = {"left": 5, "top": 5, "right": 40, "bottom": 5}
"""Pixels around a chart: a reader's font may be wider than the one that the chart was laid out with."""


def draw_as_svg() -> None:
    """Renders charts in a notebook as SVG pictures, which need neither scripts nor the network.

    ``altair.renderers.enable("default")`` makes them interactive again.
    """
    alt.renderers.register("leaderboard-svg", _svg)
    alt.renderers.enable("leaderboard-svg")


def _svg(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    # a control character in any chart would end the process
    spec = visible_values(spec)
    # the descriptions of single marks would be most of a picture's size
    plain = spec | {"config": spec.get("config", {}) | {"aria": False}, "padding": PADDING}
    title = spec.get("title", "a chart")
    return {
        "image/svg+xml": vl_convert.vegalite_to_svg(plain),
        "text/plain": title if isinstance(title, str) else title["text"],
    }
