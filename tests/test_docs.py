"""What the README tells is what there is."""

import re
import shlex

import pytest

from leaderboard.cli import main
from leaderboard.settings import described
from tests.http import PROJECT

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


@pytest.mark.parametrize(
    "endpoint",
    ["aggregated_stats", "raw_stats", "top_ai_score", "pipelines", "regions", "post_stats", "health"],
)
def test_every_endpoint_is_told(endpoint: str) -> None:
    assert f"/api/{endpoint}" in README


def test_the_commands_to_run_and_to_test_are_one_line_each() -> None:
    assert len(re.findall(r"^python3 -m venv .*leaderboard serve$", README, re.MULTILINE)) == 1
    assert len(re.findall(r"^python3 -m venv .*pytest$", README, re.MULTILINE)) == 1
