"""Pages of a ranking.

A cursor names the row after which the next page begins, not a number of rows,
so rows that come or go in between do not shift the others. It also carries the
window of the first page, so that all pages belong to one ranking.
"""

import base64
import binascii
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import polars as pl

from leaderboard.web.params import InvalidParameter
from queries import RANKING_COLUMNS, SCORE_DECIMALS
from queries.errors import quote
from queries.times import EPOCH, MICROSECOND, TimeRange, to_micros

_TIMES = frozenset(name for name in RANKING_COLUMNS if name.endswith("_round_trip_time"))
ASCENDING_COLUMNS = frozenset({"rank", "rank_low", "rank_high", "orchestrator", "failed"}) | _TIMES
"""The columns in which less is better. They sort upwards by default, the others downwards."""

SortKey = float | int | str | None


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    query_hash: str
    since: int
    until: int
    key: SortKey
    orchestrator: str


class Paging(NamedTuple):
    """Which page of a ranking to return.

    ``query_hash`` identifies the parameters that all pages share. ``after`` is
    the last row of the page before: its value in the column ``sort``, and its
    orchestrator.
    """

    sort: str
    descending: bool
    limit: int
    query_hash: str
    time_range: TimeRange
    after: tuple[SortKey, str] | None = None

    @property
    def cache_key(self) -> tuple[object, ...]:
        """All but the time range, because the version of the window stands for its events."""
        return self.sort, self.descending, self.limit, self.query_hash, self.after


def hash_query(*parameters: object) -> str:
    """A short hash of the parameters."""
    return blake2b(repr(parameters).encode(errors="surrogatepass"), digest_size=9).hexdigest()


def resume(paging: Paging, cursor: str) -> Paging:
    """The page after the cursor. Raises InvalidParameter if the cursor is malformed or of another query."""
    try:
        row = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Cursor)
        time_range = TimeRange(*(EPOCH + end * MICROSECOND for end in (row.since, row.until)))
    except (msgspec.MsgspecError, binascii.Error, ValueError, OverflowError):
        raise InvalidParameter(f"cursor must be the next_cursor of a response, not {quote(cursor)}") from None
    if row.query_hash != paging.query_hash or isinstance(row.key, str) != (paging.sort == "orchestrator"):
        raise InvalidParameter("cursor must come with the other parameters of the request that returned it")
    return paging._replace(time_range=time_range, after=(row.key, row.orchestrator))


def take_page(ranking: pl.DataFrame, paging: Paging) -> tuple[pl.DataFrame, str | None]:
    """The rows of one page, and the cursor of the next page, or None if there is none.

    Rows with equal values are in the order of their addresses, and rows without a value are last.
    """
    rows = _sort(ranking, paging)
    if paging.after is not None:
        rows = rows.filter(_follows(*paging.after, descending=paging.descending))
    page = rows.head(paging.limit)
    if page.height == rows.height:
        return page.select(RANKING_COLUMNS), None
    since, until = map(to_micros, paging.time_range)
    cursor = _Cursor(paging.query_hash, since, until, *page.select("key", "orchestrator").row(-1))
    return page.select(RANKING_COLUMNS), base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _sort(ranking: pl.DataFrame, paging: Paging) -> pl.DataFrame:
    """The sorted rows with a column ``key``, which a cursor can hold and in which the last bits do not count."""
    key, dtype = pl.col(paging.sort), ranking.schema[paging.sort]
    if dtype == pl.Float64:
        key = key.round(SCORE_DECIMALS)
    elif dtype.is_temporal():
        key = key.to_physical()
    rows = ranking.with_columns(pl.col("orchestrator").cast(pl.String)).with_columns(key=key)
    return rows.sort("key", "orchestrator", descending=[paging.descending, False], nulls_last=True)


def _follows(last_key: SortKey, last_orchestrator: str, *, descending: bool) -> pl.Expr:
    """Whether a row comes after the last row of the page before."""
    key, orchestrator = pl.col("key"), pl.col("orchestrator")
    if last_key is None:
        return key.is_null() & (orchestrator > last_orchestrator)
    is_beyond = key < last_key if descending else key > last_key
    return key.is_null() | is_beyond | ((key == last_key) & (orchestrator > last_orchestrator))
