"""The group of commands: help, version, quick starts, shell completion and failures."""

import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import click
import pytest

from leaderboard.cli import SHORT_HELP, main
from leaderboard.cli.errors import FAILURES
from leaderboard.settings import describe_settings
from tests.leaderboard.cli.conftest import RunCommand
from tests.support.commands import LEADERBOARD, PROJECT, environment, run_leaderboard

SLOW_IMPORTS = ("adbc_driver_postgresql", "duckdb", "flask", "polars", "psutil", "pyarrow", "rich", "sqlalchemy")


def all_commands() -> list[tuple[str, click.Command]]:
    """Every command with its words, without the groups."""
    found = []
    for name, command in main.commands.items():
        subcommands = command.commands if isinstance(command, click.Group) else {"": command}
        found += [(f"{name} {word}".strip(), subcommand) for word, subcommand in subcommands.items()]
    return found


def complete(*words: str) -> list[str]:
    """What the shell offers for the last of these words."""
    done = subprocess.run(
        LEADERBOARD,
        env=environment(
            _LEADERBOARD_COMPLETE="bash_complete", COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1)
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_help_lists_every_setting_and_command() -> None:
    shown = run_leaderboard("--help", COLUMNS="100").stdout
    for setting in describe_settings():
        assert f"\n  {setting.name} " in shown
    for name, short_help in SHORT_HELP.items():
        assert f" {name} {short_help} " in " ".join(shown.split())


@pytest.mark.parametrize("name", sorted(SHORT_HELP))
def test_short_help_is_the_first_sentence_of_the_command(name: str) -> None:
    assert SHORT_HELP[name] == main.commands[name].get_short_help_str(limit=200)


@pytest.mark.parametrize(("words", "command"), all_commands())
def test_every_command_and_option_has_help(words: str, command: click.Command) -> None:
    assert command.help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_unknown_command_is_refused(run: RunCommand) -> None:
    result = run("nonsense")
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


def test_version_is_that_of_the_distribution() -> None:
    config = ConfigParser()
    config.read(PROJECT / "setup.cfg", encoding="utf-8")
    assert run_leaderboard("--version").stdout == f"leaderboard, version {config['metadata']['version']}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("migrate", "status"), ("database", "url")])
def test_quick_commands_import_no_slow_package(arguments: tuple[str, ...], database: str) -> None:
    program = (
        "import sys; from leaderboard.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print([name for name in {SLOW_IMPORTS!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(POSTGRES=database),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_shell_completion_offers_commands() -> None:
    assert complete("leaderboard", "s") == ["scores", "serve", "simulate", "sql"]
    assert complete("leaderboard", "lake", "s") == ["status", "sync"]


def test_shell_completion_offers_options_and_choices() -> None:
    assert "--version" in complete("leaderboard", "--v")
    assert complete("leaderboard", "sql", "--f") == ["--format"]
    assert complete("leaderboard", "sql", "--format", "p") == ["parquet"]


def test_shell_completion_prints_a_script_for_bash() -> None:
    script = run_leaderboard(_LEADERBOARD_COMPLETE="bash_source").stdout
    done = subprocess.run(["bash", "-n"], input=script, text=True, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "complete -o nosort -F" in script


def test_invalid_setting_is_one_line(run: RunCommand) -> None:
    result = run("migrate", "status", DB_TIMEOUT="x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: DB_TIMEOUT must be a number, not 'x'\n"


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_every_translated_error_exists(name: str) -> None:
    module, _, error = name.rpartition(".")
    assert issubclass(getattr(import_module(module), error), Exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("migrate", "status"),
        ("scores",),
        ("simulate", "1"),
        ("sql", "FROM events"),
        ("lake", "status"),
        ("regions", "list"),
        ("regions", "add", "JNB", "Johannesburg", "--job-type", "ai"),
        ("prune", "--older-than", "1", "--yes"),
        ("export", "events", "--day", "2026-09-01", "--to", "-", "--format", "csv"),
    ],
)
def test_unavailable_database_is_one_line_and_exit_code_75(
    run: RunCommand, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    result = run(*arguments, POSTGRES="postgresql://u:hush@127.0.0.1:1/x", LAKE_URL=str(tmp_path))
    assert (result.exit_code, result.stdout) == (75, "")
    assert result.stderr.startswith("Error: the database x at 127.0.0.1:1 is not available: ")
    assert len(result.stderr.splitlines()) == 1
    assert "hush" not in result.stderr
