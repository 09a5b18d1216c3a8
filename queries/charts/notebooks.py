"""How notebooks keep charts."""

from typing import Any

import altair as alt
import vl_convert

ROOM = {"left": 5, "top": 5, "right": 40, "bottom": 5}
"""Pixels around a chart: who reads it may have wider letters than those that it was measured with."""


def draw_as_svg() -> None:
    """Has charts kept in a notebook as pictures, which any reader of notebooks shows, without the network or scripts.

    ``altair.renderers.enable("default")`` makes them interactive again.
    """
    alt.renderers.register("leaderboard-svg", _svg)
    alt.renderers.enable("leaderboard-svg")


def _svg(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    # what is said of each mark is most of a picture's size
    plain = spec | {"config": spec.get("config", {}) | {"aria": False}, "padding": ROOM}
    title = spec.get("title", "a chart")
    return {
        "image/svg+xml": vl_convert.vegalite_to_svg(plain),
        "text/plain": title if isinstance(title, str) else title["text"],
    }
