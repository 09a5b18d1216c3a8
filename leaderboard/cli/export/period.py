"""The period that the options of an export name."""

from calendar import monthrange
from datetime import date, datetime

import click

from leaderboard.export.runner import ExportPeriod
from queries.times import day_bounds


def read_period(
    since: date | datetime | None,
    until: date | datetime | None,
    day: date | None,
    month: date | None,
    *,
    whole_days: str | None,
) -> ExportPeriod | None:
    """The period that the options name, or None where there are none. A date names its whole UTC day.

    ``whole_days`` says why the period must consist of whole days, and is None
    where it need not. Raises click.UsageError.
    """
    if sum((day is not None, month is not None, since is not None or until is not None)) > 1:
        raise click.UsageError("use only one of --day, --month, and --since with --until")
    if day is not None:
        return ExportPeriod(*day_bounds(day))
    if month is not None:
        last_day = month.replace(day=monthrange(month.year, month.month)[1])
        return ExportPeriod(day_bounds(month).since, day_bounds(last_day).until)
    if since is None and until is None:
        return None
    period = ExportPeriod(_first_moment(since), _last_moment(until))
    if whole_days is not None:
        _check_whole_days(period, whole_days)
    if period.since is not None and period.until is not None and period.since > period.until:
        raise click.BadParameter("must not be before --since", param_hint="--until")
    return period


def _check_whole_days(period: ExportPeriod, reason: str) -> None:
    for moment, bound, option in ((period.since, 0, "--since"), (period.until, 1, "--until")):
        if moment is not None and moment != day_bounds(moment.date())[bound]:
            raise click.BadParameter(f"must be a day (2026-09-14) {reason}", param_hint=option)


def _first_moment(given: date | datetime | None) -> datetime | None:
    return given if given is None or isinstance(given, datetime) else day_bounds(given).since


def _last_moment(given: date | datetime | None) -> datetime | None:
    return given if given is None or isinstance(given, datetime) else day_bounds(given).until
