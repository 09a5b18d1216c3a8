"""Moments on the command line."""

from datetime import datetime

import click

from queries.times import parse_moment


class Moment(click.ParamType):
    """Unix seconds or RFC 3339."""

    name = "time"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> datetime:
        """The moment as an aware datetime."""
        try:
            return value if isinstance(value, datetime) else parse_moment(str(value))
        except ValueError as error:
            self.fail(str(error), parameter, context)
