"""Days, months and moments on the command line, as windows of time."""

import re
from calendar import monthrange
from datetime import date, datetime

import click

from leaderboard.cli.moments import Moment
from leaderboard.export.runner import ExportPeriod
from queries.times import day_bounds


class Day(click.ParamType):
    """A day in UTC."""

    name = "day"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> date:
        """The date."""
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
                return date.fromisoformat(str(value))
        except ValueError:
            pass
        self.fail(f"must be a day (2026-09-14), not {str(value)!r}", parameter, context)


class Month(click.ParamType):
    """A month in UTC, as its first day."""

    name = "month"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> date:
        """The month's first day."""
        try:
            if re.fullmatch(r"\d{4}-\d{2}", str(value)):
                return date.fromisoformat(f"{value}-01")
        except ValueError:
            pass
        self.fail(f"must be a month (2026-09), not {str(value)!r}", parameter, context)


class Bound(Moment):
    """A day in UTC, unix seconds or RFC 3339."""

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> date | datetime:
        """The day as a date, the moment as an aware datetime."""
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)):
            return Day().convert(value, parameter, context)
        return super().convert(value, parameter, context)


def wanted(
    since: date | datetime | None,
    until: date | datetime | None,
    day: date | None,
    month: date | None,
    *,
    whole_days: str | None,
) -> ExportPeriod | None:
    """The window that the options name, None where there are none.

    ``whole_days`` tells why it has to be of whole days, where it has. Raises
    click.UsageError.
    """
    if sum((day is not None, month is not None, since is not None or until is not None)) > 1:
        raise click.UsageError("--day, --month, and --since with --until exclude each other")
    if day is not None:
        return ExportPeriod(*day_bounds(day))
    if month is not None:
        return ExportPeriod(day_bounds(month)[0], day_bounds(_last_of(month))[1])
    if since is None and until is None:
        return None
    window = ExportPeriod(_moment(since, 0), _moment(until, 1))
    if whole_days is not None:
        if window.since is not None and window.since != day_bounds(window.since.date())[0]:
            raise click.BadParameter(f"must be a day (2026-09-14) {whole_days}", param_hint="--since")
        if window.until is not None and window.until != day_bounds(window.until.date())[1]:
            raise click.BadParameter(f"must be a day (2026-09-14) {whole_days}", param_hint="--until")
    if window.since is not None and window.until is not None and window.since > window.until:
        raise click.BadParameter("must not be before --since", param_hint="--until")
    return window


def _moment(given: date | datetime | None, end: int) -> datetime | None:
    return given if given is None or isinstance(given, datetime) else day_bounds(given)[end]


def _last_of(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])
