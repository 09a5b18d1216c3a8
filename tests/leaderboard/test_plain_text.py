"""Text from outside cannot act on a terminal, nor fake a line of a log."""

import logging
from collections.abc import Callable

import pytest

from leaderboard import logging_config
from leaderboard.plain_text import escape_controls, escape_controls_in_lines

EVIL = "\x1b]0;title\x07 \x9b31m \u202eetirw\u202c\x7f\x00\r\u2028\u2066\ud800"


@pytest.mark.parametrize("escape", [escape_controls, escape_controls_in_lines])
def test_no_control_character_remains(escape: Callable[[str], str]) -> None:
    assert escape(EVIL) == ("\\x1b]0;title\\x07 \\x9b31m \\u202eetirw\\u202c\\x7f\\x00\\r\\u2028\\u2066\\ud800")


def test_text_of_all_languages_stays_as_it_is() -> None:
    text = "naïve 日本語 مرحبا 👩‍🚀 '\"\\ a b"
    assert escape_controls(text) == text


def test_only_whole_ends_of_lines_and_tabs_stay_in_lines() -> None:
    assert escape_controls_in_lines("a\tb\nc\r\nd\re") == "a\tb\nc\r\nd\\re"
    assert escape_controls("a\tb\nc") == "a\\tb\\nc"


def test_traceback_cannot_look_like_a_line_of_the_log() -> None:
    error = ValueError("x\nERROR leaderboard: all is lost\x1b[2J")
    record = logging.LogRecord("leaderboard", logging.ERROR, "", 0, "failed", (), (ValueError, error, None))
    lines = logging_config.LineFormatter("%(levelname)s %(name)s: %(message)s").format(record).splitlines()
    assert lines[0] == "ERROR leaderboard: failed"
    assert lines[-1] == "  ERROR leaderboard: all is lost\\x1b[2J"
    assert all(line.startswith("  ") for line in lines[1:])
