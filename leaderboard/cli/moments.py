"""Types of options that name a time."""

import re
from datetime import date, datetime

import click

from queries.times import parse_moment


class Moment(click.ParamType[datetime]):
    """Unix seconds, RFC 3339, or a date, which means its UTC midnight. Becomes an aware datetime."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment as an aware datetime."""
        try:
            return value if isinstance(value, datetime) else parse_moment(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Day(click.ParamType[date]):
    """A UTC day."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day as a date."""
        return _parse_date(str(value), r"\d{4}-\d{2}-\d{2}", "") or self.fail(
            f"must be a day (2026-09-14), not {str(value)!r}", param, ctx
        )


class Month(click.ParamType[date]):
    """A UTC month. Becomes the date of its first day."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The first day of the month."""
        return _parse_date(str(value), r"\d{4}-\d{2}", "-01") or self.fail(
            f"must be a month (2026-09), not {str(value)!r}", param, ctx
        )


def _parse_date(text: str, pattern: str, suffix: str) -> date | None:
    if not re.fullmatch(pattern, text, re.ASCII):
        return None
    try:
        return date.fromisoformat(text + suffix)
    except ValueError:
        return None


class DayOrMoment(click.ParamType[date | datetime]):
    """A UTC day, which becomes a date, or another moment, which becomes an aware datetime."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date | datetime:
        """The day as a date, any other moment as an aware datetime."""
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value), re.ASCII):
            return Day().convert(value, param, ctx)
        return Moment().convert(value, param, ctx)
