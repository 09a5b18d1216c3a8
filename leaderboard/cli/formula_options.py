"""The options that choose the formula of scores, which several commands share."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from leaderboard.settings import Settings
from queries import FORMULAS, Formula

Command = Callable[..., None]

IGNORE = "ignore"


def formula_options(command: Command) -> Command:
    """Adds --formula and --busy to a command, which gets ``formula``: the Formula that they choose, or FORMULA's."""

    @click.option(
        "--formula",
        "number",
        type=click.Choice([str(number) for number in FORMULAS]),
        help="The number of the formula of the scores.  [default: FORMULA]",
    )
    @click.option(
        "--busy",
        type=click.Choice([IGNORE]),
        help="Count transcoding jobs that failed only because the orchestrator was busy as unscored.",
    )
    @wraps(command)
    def with_formula(*arguments: Any, number: str | None, busy: str | None, **options: Any) -> None:
        settings: Settings = click.get_current_context().obj
        command(*arguments, formula=_choose(settings, number, busy), **options)

    return with_formula


def _choose(settings: Settings, number: str | None, busy: str | None) -> Formula:
    formula = FORMULAS[int(number)] if number else settings.formula
    return replace(formula, ignores_busy=True) if busy == IGNORE else formula
