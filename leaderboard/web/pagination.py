"""A ranking in the order and the portions that are asked for.

A cursor says after which row the next portion begins, not how many rows went
before, so a row that comes or goes in between moves no other; and it keeps the
window of the first portion, so that all are of one ranking.
"""

import base64
import binascii
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import polars as pl

from leaderboard.web.params import InvalidParameter, TimeRange
from queries import RANKING_COLUMNS, SCORE_DECIMALS
from queries.times import EPOCH, MICROSECOND, to_micros

BEST_IS_LEAST = frozenset({"rank", "orchestrator", "failed", "p50_round_trip_time", "p95_round_trip_time"})
"""Of the columns, those that are sorted upwards unless another order is asked for."""

Place = float | int | str | None


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    question: str
    since: int
    until: int
    place: Place
    orchestrator: str


class Paging(NamedTuple):
    """How a ranking is to be cut. ``question`` names all that is asked but for the portion.

    ``after`` is the value in the column ``sort``, and the orchestrator, of the last row of the portion before.
    """

    sort: str
    descending: bool
    limit: int
    question: str
    window: TimeRange
    after: tuple[Place, str] | None = None

    def __repr__(self) -> str:
        # a window is known by its events where an answer is kept
        return repr((self.sort, self.descending, self.limit, self.question, self.after))


def named(*asked: object) -> str:
    """A name for all that is asked."""
    return blake2b(repr(asked).encode(errors="surrogatepass"), digest_size=9).hexdigest()


def resumed(paging: Paging, cursor: str) -> Paging:
    """From where a cursor points to on. Raises InvalidParameter where it is of no answer to the same question."""
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Cursor)
        window = TimeRange(*(EPOCH + end * MICROSECOND for end in (found.since, found.until)))
    except (msgspec.MsgspecError, binascii.Error, ValueError, OverflowError):
        raise InvalidParameter(f"cursor must be the next of an answer, not {cursor!r}") from None
    if found.question != paging.question or isinstance(found.place, str) != (paging.sort == "orchestrator"):
        raise InvalidParameter("cursor must come with the other parameters of the answer that gave it")
    return paging._replace(window=window, after=(found.place, found.orchestrator))


def page(ranking: pl.DataFrame, paging: Paging) -> tuple[pl.DataFrame, str | None]:
    """A portion of the rows of leaderboard, and the cursor of the next one, None where there is none.

    Equal values come in the order of the addresses, and rows without one last.
    """
    place, orchestrator = pl.col("place"), pl.col("orchestrator")
    dtype = ranking.schema[paging.sort]
    value = pl.col(paging.sort)
    if dtype == pl.Float64:
        value = value.round(SCORE_DECIMALS)
    elif dtype.is_temporal():
        value = value.to_physical()
    rows = ranking.with_columns(orchestrator.cast(pl.String)).with_columns(place=value)
    rows = rows.sort("place", "orchestrator", descending=[paging.descending, False], nulls_last=True)
    if paging.after is not None:
        last, address = paging.after
        later = place.is_null() & (orchestrator > address)
        if last is not None:
            beyond = place < last if paging.descending else place > last
            later = place.is_null() | beyond | ((place == last) & (orchestrator > address))
        rows = rows.filter(later)
    part = rows.head(paging.limit)
    if part.height == rows.height:
        return part.select(RANKING_COLUMNS), None
    since, until = map(to_micros, paging.window)
    cursor = _Cursor(paging.question, since, until, *part.select("place", "orchestrator").row(-1))
    return part.select(RANKING_COLUMNS), base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")
