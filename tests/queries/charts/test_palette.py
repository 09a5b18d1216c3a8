"""The palette's colours can be read and told apart, on light and on dark backgrounds."""

from itertools import combinations, pairwise

import pytest

from queries.charts.palette import PALETTE, SCORE_STEPS
from tests.support.colours import VISIONS, contrast, distance

BACKGROUNDS = ("light", "dark")
SURFACES = ("surface", "surface-raised")
MIN_TEXT_CONTRAST, MIN_MARK_CONTRAST = 4.5, 3.0
"""Those of WCAG 2, level AA."""
MIN_DISTANCE = 20.0
"""In CIELAB. Neighbours on a wall of paint samples differ by about 5."""
MIN_STEP_DISTANCE = 5.0

TEXTS = ("text", "text-muted", "link", "primary", "accent", "good", "warning", "bad")
SERIES = tuple(name for name in PALETTE if name.startswith("series-"))
GROUPS = (SERIES, ("good", "warning", "bad"), ("primary", "primary-soft", "accent"))


def shade(name: str, background: str) -> str:
    value: str = getattr(PALETTE[name], background)
    return value


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_text_and_marks_have_enough_contrast(background: str) -> None:
    needed = dict.fromkeys(SERIES, MIN_MARK_CONTRAST) | dict.fromkeys(TEXTS, MIN_TEXT_CONTRAST)
    low = {
        (name, surface): round(found, 2)
        for name, minimum in needed.items()
        for surface in SURFACES
        if (found := contrast(shade(name, background), shade(surface, background))) < minimum
    }
    assert low == {}


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_colours_can_be_told_apart(background: str, vision: str) -> None:
    close = {
        pair: round(found, 1)
        for group in GROUPS
        for pair in combinations(group, 2)
        if (found := distance(shade(pair[0], background), shade(pair[1], background), vision)) < MIN_DISTANCE
    }
    assert close == {}


@pytest.mark.parametrize("vision", VISIONS)
def test_steps_of_the_score_can_be_told_apart(vision: str) -> None:
    assert min(distance(*pair, vision) for pair in pairwise(SCORE_STEPS)) > MIN_STEP_DISTANCE
