"""The examples for schedulers parse, and run commands that exist."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from leaderboard.cli import main
from tests.support.commands import PROJECT

DEPLOY = PROJECT / "deploy"
UNITS = sorted(path for path in DEPLOY.iterdir() if path.suffix in (".service", ".timer"))


def cron_lines() -> list[tuple[list[str], str]]:
    """The five fields and the command of each job in the crontab."""
    lines = (DEPLOY / "crontab").read_text(encoding="utf-8").splitlines()
    jobs = [line.split(None, 5) for line in lines if line and not re.match(r"#|\w+=", line)]
    return [(job[:5], job[5]) for job in jobs]


def unit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """The entries of a unit by section, in their order."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\[\w+\]", line):
            entries = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            name, separator, value = line.partition("=")
            assert separator, line
            entries.append((name, value))
    return sections


def manifest() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "cronjob.yaml").read_text(encoding="utf-8"))


def commands() -> list[list[str]]:
    """The words of each command that the examples run."""
    crontab = [shlex.split(command.partition(" 2>&1 ")[0]) for _, command in cron_lines()]
    units = [
        shlex.split(value.removeprefix("-"))
        for path in UNITS
        for entries in unit(path).values()
        for name, value in entries
        if name == "ExecStart"
    ]
    pod = manifest()["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return crontab + units + [container["command"] for container in pod["initContainers"] + pod["containers"]]


@pytest.mark.parametrize("words", commands(), ids=shlex.join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    assert Path(words[0]).name == "leaderboard"
    command: click.Command = main
    words = words[1:]
    with click.Context(main) as context:
        while words and isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
    assert not isinstance(command, click.Group)
    with command.make_context(command.name, [re.sub(r"\$\(date.*\)", "2026-09", word) for word in words]) as context:
        assert "{date}" in context.params.get("to", "{date}") or context.params["month"] or "delta" in words


def test_each_scheduler_syncs_the_lake_and_exports() -> None:
    run = [" ".join(words[1:3]) for words in commands()]
    assert run.count("lake sync") == 3
    assert {"export events", "export raw", "export scores"} <= set(run)


def test_cron_times_are_valid() -> None:
    field = re.compile(r"(\*|\d+(-\d+)?)(/\d+)?(,(\*|\d+(-\d+)?)(/\d+)?)*")
    jobs = cron_lines()
    assert jobs
    for fields, command in jobs:
        assert all(field.fullmatch(value) for value in fields), fields
        assert not re.search(r"(?<!\\)%", command)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_units_parse(path: Path) -> None:
    assert "Unit" in unit(path)
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(path.read_text(encoding="utf-8"))
    assert path.suffix.removeprefix(".").capitalize() in parser.sections()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_accepts_the_time_of_the_timer() -> None:
    ((_, time),) = [entry for entry in unit(DEPLOY / "leaderboard-export.timer")["Timer"] if entry[0] == "OnCalendar"]
    done = subprocess.run(["systemd-analyze", "calendar", time], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_lasting_failures_are_not_retried() -> None:
    spec = manifest()["spec"]["jobTemplate"]["spec"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [2, 73]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    service = dict(unit(DEPLOY / "leaderboard-export.service")["Service"])
    assert service["RestartPreventExitStatus"] == "2 73"
