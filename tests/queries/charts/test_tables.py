"""Tables for people: whole, in words, with units."""

import re
from datetime import UTC, datetime

import duckdb
import polars as pl

from queries import SUGGESTED_MIN_EVENTS, charts

FRAME = pl.DataFrame(
    {
        "orchestrator": ["0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7", "0xb"],
        "job_type": ["ai", "transcoding"],
        "success_rate": [0.9071, None],
        "p50_round_trip_time": [0.47236, 12345.6],
        "score": [0.84017, 0.0],
        "events": [12345, SUGGESTED_MIN_EVENTS - 1],
        "change": [0.0126, -0.25],
        "last_seen": [datetime(2026, 8, 31, 12, 36, 31, tzinfo=UTC), None],
        "class": ["no_orchestrator", None],
        "warm": [True, None],
        "codes": [["a", "b"], []],
    }
)


def cells(html: str, tag: str) -> list[str]:
    return re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", html)


def test_headings_and_values_are_in_words() -> None:
    html = charts.table(FRAME)._repr_html_()
    assert cells(html, "th") == [
        *("orchestrator", "job type", "success (%)", "median round trip time (s)", "score", "scored tests", "change"),
        *("last seen (UTC)", "class", "warm", "codes"),
    ]
    assert cells(html, "td") == [
        *(FRAME["orchestrator"][0], "AI", "90.7", "0.472", "0.840", "12,345", "+0.013", "2026-08-31 12:36"),
        *("no orchestrator", "yes", "a, b"),
        *("0xb", "transcoding", "–", "12,346", "0.000", str(SUGGESTED_MIN_EVENTS - 1), "-0.250", "–", "–", "–", ""),
    ]


def test_rows_of_few_tests_are_faint_and_the_note_says_so() -> None:
    html = charts.table(FRAME)._repr_html_()
    assert len(re.findall('<tr class="few"', html)) == 1
    assert f"Faint: fewer than {SUGGESTED_MIN_EVENTS} scored tests." in html
    assert "few" not in charts.table(FRAME.head(1))._repr_html_()


def test_long_tables_are_whole_unless_they_say_what_is_missing() -> None:
    rows = pl.DataFrame({"region": [f"R{number}" for number in range(1200)]})
    assert len(cells(charts.table(rows)._repr_html_(), "td")) == 1200
    cut = charts.table(rows, max_rows=7, what="regions")
    assert len(cells(cut._repr_html_(), "td")) == 7
    assert "The first 7 of 1,200 regions." in cut._repr_html_()
    assert repr(cut).endswith("R6\nThe first 7 of 1,200 regions.")


def test_empty_tables_say_so() -> None:
    assert repr(charts.table(FRAME.clear().select("score"), what="scores")) == "score\nNo scores."


def test_text_from_outside_is_never_html() -> None:
    html = charts.table(pl.DataFrame({"a_<b>": ["<script>\x07\ufffe"]}), headings={"a_<b>": "<i>"})._repr_html_()
    assert cells(html, "th") == ["&lt;i&gt;"]
    assert cells(html, "td") == ["&lt;script&gt;␇�"]


def test_tables_take_frames_of_any_engine() -> None:
    frame = FRAME.select("orchestrator", "score")
    of_duckdb = charts.table(duckdb.from_arrow(frame.to_arrow()))
    assert of_duckdb._repr_html_() == charts.table(frame.lazy())._repr_html_() == charts.table(frame)._repr_html_()
