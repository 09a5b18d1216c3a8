"""Text as Categorical of one set of categories, whose first codes are those of a dictionary on disk."""

from functools import cached_property

import narwhals.stable.v2 as nw
import polars as pl

from queries.schema import EVENT_SCHEMA
from queries.sources.text_encoding import TEXT_COLUMNS

NO_EVENTS: pl.DataFrame = nw.from_dict(
    {name: [] for name in EVENT_SCHEMA}, schema=EVENT_SCHEMA, backend="polars"
).to_native()


class TextCategories:
    """The categories of all text columns in one process. A text that they do not have yet is added by ``encode``.

    Threads may share a TextCategories.
    """

    def __init__(self, texts: pl.Series | None = None) -> None:
        """``texts`` (String, each one once) have their places as codes."""
        self.dtype = pl.Categorical(pl.Categories.random("text", pl.UInt32))
        # Polars forgets categories that no series has
        self._encoded = (pl.Series(dtype=pl.String) if texts is None else texts).cast(self.dtype)
        if not _has_codes_from(self._encoded, 0):
            raise ValueError("a text is there twice")

    @cached_property
    def empty(self) -> pl.DataFrame:
        """No events, as ``encode`` returns them."""
        return self.encode(NO_EVENTS.lazy()).collect()

    @property
    def texts(self) -> pl.Series:
        """All texts in the order of their codes, as String. Only complete while nobody encodes."""
        return self.dtype.categories.to_series()

    def encode(self, events: pl.LazyFrame) -> pl.LazyFrame:
        """The events (LazyFrame, EVENT_SCHEMA; text as String or Categorical) with text of these categories."""
        return events.with_columns(pl.col(TEXT_COLUMNS).cast(self.dtype))

    def apply(self, codes: pl.DataFrame) -> pl.DataFrame:
        """The events whose text is codes (UInt32), without a copy.

        Raises ComputeError for a code without a text.
        """
        return codes.with_columns(pl.col(TEXT_COLUMNS).cat.to(self.dtype))

    def extended(self, texts: pl.Series) -> "TextCategories":
        """Categories in which ``texts`` have their places as codes. They begin with the texts that these began with.

        They are new ones where a text was given another code by ``encode`` meanwhile.
        """
        known = self._encoded.len()
        added = texts.slice(known).cast(self.dtype)
        if not _has_codes_from(added, known):
            return TextCategories(texts)
        self._encoded = self._encoded.append(added)
        return self


def _has_codes_from(encoded: pl.Series, first: int) -> bool:
    codes = pl.int_range(first, first + encoded.len(), dtype=pl.UInt32, eager=True)
    return encoded.to_physical().equals(codes)
