"""Makes a function over narwhals frames one that takes and returns the frames of any engine."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrameT

from queries.errors import unreadable_as_unavailable

P = ParamSpec("P")

Schema = dict[str, type[pl.DataType] | pl.DataType]
NarwhalsFrame = nw.LazyFrame[Any]
"""The type of a frame inside a query function. Eager frames are passed too: use only methods that both kinds have."""


class QueryFunction(Protocol[P]):
    """A function from one frame to another of the same engine."""

    __name__: str

    def __call__(self, events: IntoFrameT, /, *args: P.args, **kwargs: P.kwargs) -> IntoFrameT:
        """Returns the rows as a frame of the engine that ``events`` is of."""


def engine_agnostic(function: Callable[Concatenate[NarwhalsFrame, P], NarwhalsFrame]) -> QueryFunction[P]:
    """Lets ``function`` take and return Polars frames (eager or lazy), DuckDB relations or Spark frames.

    It raises StoreUnavailable where it needs the columns of a file that cannot be read.
    """

    @wraps(function)
    def run(events: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        with unreadable_as_unavailable():
            return function(nw.from_native(events), *args, **kwargs).to_native()

    return run


def to_polars(frame: NarwhalsFrame) -> pl.DataFrame:
    """The rows, from any engine, with times in UTC."""
    native = frame.to_native()
    if isinstance(native, pl.LazyFrame):
        rows: pl.DataFrame = native.collect(engine="streaming")
    else:
        # an eager frame is passed too
        rows = frame.lazy().collect(backend="polars").to_native()
    return rows.with_columns(pl.selectors.datetime().dt.convert_time_zone("UTC").dt.cast_time_unit("us"))
