"""Formulas in HTML: powers are raised, and letters that stand for a number are variables."""

import re
from collections.abc import Collection

from markupsafe import Markup, escape

_POWER = re.compile(r"\^\(([^()]*)\)")


def formula_lines(text: str, symbols: Collection[str]) -> list[Markup]:
    """The parts of a formula as ``Formula.describe`` writes it, each for a line of its own."""
    return [typeset(part.strip(), symbols) for part in text.split(";")]


def typeset(text: str, symbols: Collection[str]) -> Markup:
    """A formula in one line, in which ``^(…)`` is a power and the ``symbols`` are letters for numbers."""
    raised = _POWER.sub(r"<sup>\1</sup>", str(escape(text)))
    if symbols:
        letters = "|".join(map(re.escape, symbols))
        raised = re.sub(rf"(?<![\w<&/])({letters})(?![\w>;])", r"<var>\1</var>", raised)
    return Markup(raised)
