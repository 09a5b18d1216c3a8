"""The command ``leaderboard``."""

import click

from leaderboard import logging_config
from leaderboard.cli.export import export
from leaderboard.cli.lake import lake, prune
from leaderboard.cli.migrate import migrate
from leaderboard.cli.post import post
from leaderboard.cli.report import report
from leaderboard.cli.scores import scores
from leaderboard.cli.serve import serve
from leaderboard.cli.simulate import simulate
from leaderboard.cli.sql import sql
from leaderboard.settings import Settings, SettingsError, described


class SettingsHelp(click.Group):
    """A group whose help ends with the settings."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the settings."""
        with formatter.section("Settings, from the environment"):
            formatter.write_dl([(name, f"{meaning}  [default: {shown}]") for name, meaning, shown in described()])


@click.group(cls=SettingsHelp, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orchestrator-leaderboard")
@click.pass_context
def main(context: click.Context) -> None:
    """Scores of the orchestrators of a decentralised video and AI network."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    logging_config.configure(settings.log_level)
    context.obj = settings


for command in (serve, export, migrate, post, report, scores, sql, simulate, lake, prune):
    main.add_command(command)
