"""What stands in and above tables: figures, the order of the rows, and pages of many rows."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
from flask import request

from leaderboard.web import params
from leaderboard.web.pagination import ASCENDING_COLUMNS
from leaderboard.web.table_params import integer
from queries import SCORE_DECIMALS

ROWS_PER_PAGE = 100
MAX_PAGE = 10_000


class Figure(NamedTuple):
    """A number with what it rests on, and its change to the window before."""

    label: str
    value: str
    basis: str = ""
    change: str = ""


class Sort(NamedTuple):
    """The column by which a table is sorted, and whether downwards."""

    column: str
    descending: bool


class Pages(NamedTuple):
    """The number of a page of a table and of the last one, and how many rows all have."""

    number: int
    last: int
    row_count: int


def current_sort(columns: tuple[str, ...]) -> Sort:
    """What ``sort`` and ``order`` ask for, by default the first of the columns. Raises InvalidParameter."""
    column = params.choice(request, "sort", columns) or columns[0]
    order = params.choice(request, "order", ("asc", "desc"))
    return Sort(column, order == "desc" if order else column not in ASCENDING_COLUMNS)


def current_page() -> int:
    """What ``page`` asks for, from 1. Raises InvalidParameter."""
    return integer(request, "page", 1, 1, MAX_PAGE)


def take_rows(table: pl.DataFrame, sort: Sort, page: int, tie_columns: Sequence[str]) -> tuple[pl.DataFrame, Pages]:
    """The rows of one page of a sorted table. Where the sort leaves rows equal, ``tie_columns`` sort them upwards."""
    key = pl.col(sort.column).round(SCORE_DECIMALS) if table.schema[sort.column].is_float() else sort.column
    descending = [sort.descending, *(False for _ in tie_columns)]
    rows = table.sort(key, *tie_columns, descending=descending, nulls_last=True)
    pages = Pages(page, max(1, -(-table.height // ROWS_PER_PAGE)), table.height)
    return rows.slice((page - 1) * ROWS_PER_PAGE, ROWS_PER_PAGE), pages
