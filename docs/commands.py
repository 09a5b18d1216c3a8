"""The reference of the command line, read from click."""

import inspect
from collections.abc import Iterator

import click

from docs.markdown import table
from leaderboard.cli import main


def reference() -> str:
    """One section per command, groups before their commands, in the order of ``--help``."""
    with click.Context(main, info_name="leaderboard") as context:
        return "\n\n".join(_section(context) for context in _contexts(context))


def _contexts(context: click.Context) -> Iterator[click.Context]:
    """A context for each command below this one."""
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                inner = click.Context(command, context, info_name=name)
                yield inner
                yield from _contexts(inner)


def _section(context: click.Context) -> str:
    command = context.command
    level = context.command_path.count(" ") + 1
    parts = [
        f"{'#' * level} {context.command_path}",
        f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```",
        _paragraphs(command.help or ""),
    ]
    records = (parameter.get_help_record(context) for parameter in command.params)
    options = [(f"`{record[0]}`", _text(record[1])) for record in records if record and record[1]]
    if options:
        parts.append(table(("option", "meaning"), options))
    return "\n\n".join(parts)


def _paragraphs(help_text: str) -> str:
    # click marks a paragraph that keeps its lines with a backspace
    return _text(inspect.cleandoc(help_text).replace("\b\n", ""))


def _text(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")
