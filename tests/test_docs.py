"""What the README tells is what there is."""

import re
import shlex

import pytest
from flask import Blueprint, Flask

from leaderboard.cli import main
from leaderboard.reports import notebooks
from leaderboard.settings import described
from leaderboard.web.api import rankings, regions, results, scores
from leaderboard.web.media_types import DECIMALS, FORMATS
from leaderboard.web.table_params import INTERVALS, LIMIT, MOST_ROWS
from leaderboard.web.table_responses import HISTORY_ROWS
from queries import charts
from queries.ranking import RANKING_COLUMNS
from tests.support.commands import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")

COMMANDS = re.findall(r"^(?:\w+=\S+ )*(?:\.venv/bin/)?leaderboard (.*?)(?:\s+#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize(("name", "meaning", "default"), described(), ids=lambda value: value)
def test_every_setting_is_told_with_its_default(name: str, meaning: str, default: str) -> None:
    assert f"| {name} | {meaning} | {default} |" in README


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_is_told(name: str) -> None:
    assert f"leaderboard {name}" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_is_told_exists(command: str) -> None:
    words = shlex.split(command, comments=True)
    place = main
    while words and words[0] in getattr(place, "commands", {}):
        place = place.commands[words.pop(0)]
    assert place is not main, command
    options = {option for parameter in place.params for option in parameter.opts}
    for word in words:
        if word.startswith("--"):
            assert word in options, command


def rules(blueprint: Blueprint) -> list[str]:
    """The paths that a blueprint answers."""
    app = Flask("docs", static_folder=None)
    app.register_blueprint(blueprint)
    return [rule.rule for rule in app.url_map.iter_rules()]


RULES = [rule for views in (scores, rankings, results, regions) for rule in rules(views.bp)]


@pytest.mark.parametrize("rule", RULES)
def test_every_endpoint_is_told(rule: str) -> None:
    assert f" /api{rule.partition('<')[0]}" in README


@pytest.mark.parametrize("name", ["interval", "sort", "order", "min_events", "limit", "cursor", "format"])
def test_every_parameter_of_the_tables_is_told(name: str) -> None:
    assert f"`{name}`" in README


def test_the_fields_and_limits_of_the_tables_are_told() -> None:
    for name in (*RANKING_COLUMNS[5:], "ranked", "last_success", "last_failure", "error_code", "share"):
        assert name in README, name
    for form in FORMATS:
        assert form.name in README
    assert all(interval in README for interval in INTERVALS)
    assert f"{HISTORY_ROWS:,} rows at most" in README
    assert f"(1 to {MOST_ROWS}, else {LIMIT})" in README
    assert f"numbers have {DECIMALS} decimals" in README


@pytest.mark.parametrize("name", [*notebooks.names(), *charts.__all__])
def test_every_notebook_and_every_chart_is_told(name: str) -> None:
    assert f"`{name}`" in README


def test_the_commands_to_run_and_to_test_are_one_line_each() -> None:
    assert len(re.findall(r"^python3 -m venv .*leaderboard serve$", README, re.MULTILINE)) == 1
    assert len(re.findall(r"^python3 -m venv .*pytest$", README, re.MULTILINE)) == 1
