"""The style sheet of the pages."""

import re
from importlib.resources import files

from queries.charts.palette import FONT_FAMILY, MONOSPACE_FAMILY, PALETTE, SCORE_STEPS, SPACES, TEXT_SIZES
from tests.support.colours import contrast

STYLE = (files("leaderboard.web.pages") / "static" / "style.css").read_text(encoding="utf-8")
ROOT = dict(re.findall(r"^  --([\w-]+): (.*);$", STYLE[: STYLE.index("}")], re.MULTILINE))


def test_names_have_the_values_of_the_charts() -> None:
    expected = {name: f"light-dark({shade.light}, {shade.dark})" for name, shade in PALETTE.items()}
    expected |= {f"score-{step}": colour for step, colour in enumerate(SCORE_STEPS)}
    expected |= {"font": FONT_FAMILY, "monospace": MONOSPACE_FAMILY}
    expected |= {f"text-{name}": f"{pixels / 16:g}rem" for name, pixels in TEXT_SIZES.items()}
    expected |= {f"space-{number}": f"{pixels / 16:g}rem" for number, pixels in enumerate(SPACES, 1)}
    assert {name: ROOT.get(name) for name in expected} == expected


def test_colours_are_used_by_their_names_only() -> None:
    rules = STYLE[STYLE.index("}") :]
    inks = {"#ffffff", "#17212a", "#000000"}
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rules)) <= inks


def test_numbers_can_be_read_on_each_colour_of_the_heat_map() -> None:
    inks = re.findall(r"\.heat-(\d+) \{ background: var\(--score-\1\); --ink: (#\w+) \}", STYLE)
    contrasts = {int(step): contrast(SCORE_STEPS[int(step)], ink) for step, ink in inks}
    assert sorted(contrasts) == list(range(len(SCORE_STEPS)))
    assert min(contrasts.values()) >= 4.5, contrasts
