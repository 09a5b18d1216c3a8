"""The command ``leaderboard``."""

import sys
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from leaderboard import logging_config
from leaderboard.cli.errors import CannotWrite, translate
from leaderboard.cli.output.streams import OutputError, prepare_streams
from leaderboard.plain_text import escape_controls_in_lines
from leaderboard.setting_parsers import is_utf8
from leaderboard.settings import Settings, describe_settings, reach_local_addresses_directly

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHORT_HELP = {
    "database": "Prints the database's URL, or opens psql on it.",
    "exclusions": "Leaves results of a bad span of time out of scores.",
    "export": "Writes events, results or scores to files or to a Delta table.",
    "lake": "Exports settled results to the lake, a Delta table, and maintains it.",
    "migrate": "Shows and changes the version of the database's schema.",
    "post": "Signs results in a file and posts them to a service.",
    "prune": "Deletes old results from the database once the lake holds them.",
    "regions": "Lists, adds, renames and retires regions.",
    "report": "Runs a notebook and writes its output as one HTML page.",
    "scores": "Prints scores per orchestrator and region.",
    "serve": "Serves the HTTP API until Ctrl-C or SIGTERM.",
    "simulate": "Makes results of a simulated network and stores them.",
    "sql": "Runs SQL over the events and prints the result.",
}
"""The commands. Each one is the function of its name in the module of its name."""


class LazyCommands(MutableMapping[str, click.Command]):
    """The commands by name. Each is imported when it is looked up, so that a start pays for one command only."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in SHORT_HELP:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"leaderboard.cli.{name}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(SHORT_HELP)

    def __len__(self) -> int:
        return len(SHORT_HELP)

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise TypeError("commands are added to SHORT_HELP")

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are removed from SHORT_HELP")


class LazyGroup(click.Group):
    """A group that lists its commands without importing them, and whose help ends with the settings."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SHORT_HELP.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the settings."""
        with formatter.section("Settings, from the environment"):
            settings = describe_settings()
            formatter.write_dl([(s.name, f"{s.description}  [default: {s.default}]") for s in settings])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        """The commands and options that begin with ``incomplete``."""
        from click.shell_completion import CompletionItem

        names = [name for name in SHORT_HELP if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=SHORT_HELP[name]) for name in names]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, args: Sequence[str] | None = None, *other: Any, **options: Any) -> Any:
        """Runs the command that the arguments name, by default those of this process, whose streams it prepares."""
        if args is None:
            prepare_streams()
            if not all(map(is_utf8, sys.argv)):
                click.echo("Error: an argument is not UTF-8", err=True)
                sys.exit(click.UsageError.exit_code)
        try:
            return super().main(args, *other, **options)
        except OutputError as error:
            # of a help text, which is no command
            failure = CannotWrite(str(error))
            failure.show()
            sys.exit(failure.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. An error that a user can meet ends it with one line and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except click.ClickException as error:
            # parts of messages come from servers and from testers; click calls the attribute final
            vars(error)["message"] = escape_controls_in_lines(error.message)
            raise
        except BaseException as error:
            # a panic of Polars is no Exception
            failure = translate(error)
            if failure is None:
                raise
            raise failure from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orchestrator-leaderboard")
@click.pass_context
def main(context: click.Context) -> None:
    """Scores of the orchestrators of a decentralised video and AI network."""
    reach_local_addresses_directly()
    settings = Settings.load()
    logging_config.configure(settings.log_level)
    context.obj = settings
