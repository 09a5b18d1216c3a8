"""What the header of a report says about it: the window, the source, when it was made, and the formula."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from queries import FORMULAS, Formula
from queries.db import database_label
from queries.times import parse_moment

_MINUTES = "%Y-%m-%d %H:%M"
_USER_AND_PASSWORD = re.compile(r"(?<=://)[^/]*@")
_QUERY = re.compile(r"\?.*", re.DOTALL)


def report_facts(values: Mapping[str, Any], formula: Formula | None = None) -> dict[str, str]:
    """The facts by their names, from the notebook's parameters. Passwords are left out.

    ``formula`` is the one that the report scores by, formula 2 if it takes none.
    """
    since, until = (parse_moment(values[name]) for name in ("SINCE", "UNTIL"))
    return {
        "Window": f"{since:{_MINUTES}} to {until:{_MINUTES}} UTC",
        "Source": describe_source(values["DATABASE"], values["LAKE"]),
        "Made at": f"{datetime.now(UTC):{_MINUTES}} UTC",
        "Formula": describe_formula(formula or FORMULAS[2]),
    }


def describe_source(database: str, lake: str | None = None) -> str:
    """Where the results come from, without users, passwords and the options of a URL.

    >>> describe_source("postgresql://user:password@db.example/leaderboard", "s3://bucket/lake")
    'the database leaderboard at db.example:5432, with the lake s3://bucket/lake'
    """
    if not database.startswith(("postgres://", "postgresql://")):
        return _without_secrets(database)
    label = database_label(database)
    return f"{label}, with the lake {_without_secrets(lake)}" if lake else label


def describe_formula(formula: Formula) -> str:
    """The formula's number, its weights, and whether busy orchestrators count."""
    weights = f"{formula.success_weight:.0%} success, {formula.round_trip_weight:.0%} speed".replace("%", " %")
    busy = "; busy orchestrators count as unscored" if formula.ignores_busy else ""
    return f"{formula.name} (AI scores: {weights}){busy}"


def _without_secrets(url: str) -> str:
    return _QUERY.sub("", _USER_AND_PASSWORD.sub("", url)) if "://" in url else url
