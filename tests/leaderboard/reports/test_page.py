"""What a report page consists of, without running a notebook."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from leaderboard.reports.facts import describe_formula, describe_source
from leaderboard.reports.page import SVG, render_page
from queries import FORMULA_2
from queries.charts import PALETTE, SCORE_SCALE

FACTS = {"Window": "a <week>", "Source": "a database"}


def page(*outputs: Mapping[str, str]) -> str:
    cells = [new_code_cell("code", outputs=[new_output("display_data", data=dict(data))]) for data in outputs]
    text = [new_markdown_cell("# A & B\n\nThe text."), new_markdown_cell("## First part")]
    return render_page(new_notebook(cells=[*text, *cells]), FACTS)


def test_page_begins_with_its_title_facts_and_sections() -> None:
    html = page()
    assert "<title>A &amp; B</title>" in html
    assert html.count("<h1") == 1
    assert re.search(r"<h1>A &amp; B</h1>\s*<dl class=\"facts\"><dt>Window</dt><dd>a &lt;week&gt;</dd>", html)
    ((anchor, heading),) = re.findall(r'<a href="#([^"]*)">(.*?)</a>', html.partition("<main>")[0])
    assert heading == "First part"
    assert f'id="{anchor}"' in html


def test_wide_things_scroll_in_their_own_box() -> None:
    html = page({"text/html": "<table></table>"}, {SVG: "<svg></svg>", "text/plain": "a <chart>"})
    boxes = re.findall(r'<div[^>]* class="scroll"[^>]* tabindex="0">(<\w+(?: alt="[^"]*")?)', html)
    assert boxes == ["<table", '<img alt="a &lt;chart&gt;"']
    assert ".scroll { overflow-x: auto" in html


def test_pages_and_pictures_have_the_colours_of_the_palette_in_light_and_dark() -> None:
    names = {shade.light: name for name, shade in PALETTE.items()}
    # each colour of a picture leads to one dark colour
    assert len(names) == len(PALETTE)
    marks = "".join(f'<path fill="{shade.light}" stroke="{shade.light}"/>' for shade in PALETTE.values())
    html = page({SVG: f'<svg xmlns="http://www.w3.org/2000/svg">{marks}</svg>', "text/plain": "a chart"})
    for name, shade in PALETTE.items():
        assert f"--{name}: light-dark({shade.light}, {shade.dark});" in html
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', html)
    style = base64.b64decode(picture).decode().partition("<style>@media (prefers-color-scheme:dark){")[2]
    for shade in PALETTE.values():
        assert f'[fill="{shade.light}"]{{fill:{shade.dark}}}' in style
        assert f'[stroke="{shade.light}"]{{stroke:{shade.dark}}}' in style


def test_scale_of_scores_is_the_same_in_light_and_dark() -> None:
    assert not {shade.light for shade in PALETTE.values()} & set(SCORE_SCALE.range)


@pytest.mark.parametrize(
    ("database", "lake", "described"),
    [
        ("postgresql://user:secret@db.example/x", None, "the database x at db.example:5432"),
        (
            "postgres:///x?password=secret",
            "s3://key:secret@bucket/lake?token=secret",
            "at localhost:5432, with the lake",
        ),
        ("s3://key:secret@bucket/lake?token=secret", None, "s3://bucket/lake"),
        ("exports/a?b@c.parquet", None, "exports/a?b@c.parquet"),
    ],
)
def test_sources_are_described_without_secrets(database: str, lake: str | None, described: str) -> None:
    found = describe_source(database, lake)
    assert described in found
    assert "secret" not in found


def test_formula_is_described_with_its_weights() -> None:
    assert describe_formula(FORMULA_2) == "2 (AI scores: 65 % success, 35 % speed)"
    ignoring = replace(FORMULA_2, success_weight=0.5, round_trip_weight=0.5, ignores_busy=True)
    assert describe_formula(ignoring) == "2 (AI scores: 50 % success, 50 % speed); busy orchestrators count as unscored"
