"""Makes a function over narwhals frames one that takes and returns the frames of any engine."""

from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, ParamSpec, Protocol

import narwhals.stable.v2 as nw
import polars as pl
from cachetools import LRUCache
from narwhals.stable.v2.typing import IntoFrameT

from queries.errors import unreadable_as_unavailable

P = ParamSpec("P")

Schema = dict[str, type[pl.DataType] | pl.DataType]
NarwhalsFrame = nw.LazyFrame[Any]
"""The type of a frame inside a query function. Eager frames are passed too: use only methods that both kinds have."""
MAX_PLANS = 128
"""How many plans are kept. One takes up to 0.2 MiB."""
SMALL_FRAME_ROWS = 200_000
"""Up to here Polars' in-memory engine is quicker than its streaming engine."""

_plans: LRUCache[Hashable, "QueryPlan"] = LRUCache(MAX_PLANS)
_plans_lock = Lock()


class QueryFunction(Protocol[P]):
    """A function from one frame to another of the same engine."""

    __name__: str

    def __call__(self, events: IntoFrameT, /, *args: P.args, **kwargs: P.kwargs) -> IntoFrameT:
        """Returns the rows as a frame of the engine that ``events`` is of."""


def engine_agnostic(function: Callable[Concatenate[NarwhalsFrame, P], NarwhalsFrame]) -> QueryFunction[P]:
    """Lets ``function`` take and return Polars frames (eager or lazy), DuckDB relations or Spark frames.

    Planning a query takes several times as long as running it over the events
    of a day. So over eager frames, equal calls share a plan.

    It raises StoreUnavailable where it needs the columns of a file that cannot be read.
    """

    @wraps(function)
    def run(events: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        def query(frame: Any) -> Any:
            return function(nw.from_native(frame), *args, **kwargs).to_native()

        with unreadable_as_unavailable():
            if isinstance(events, pl.DataFrame):
                return _run_planned(query, events, (function, args, tuple(kwargs.items())))
            return query(events)

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


class QueryPlan:
    """A query over Polars frames whose events are given when it runs. Only one thread may run it at a time."""

    def __init__(self, query: Callable[[pl.LazyFrame], pl.LazyFrame], schema: pl.Schema) -> None:
        # a function that holds self would make a cycle through Polars, which Python cannot free
        given: list[pl.DataFrame] = []
        events = pl.DataFrame(schema=schema).lazy()
        events = events.map_batches(
            lambda _: given[0],
            predicate_pushdown=False,
            projection_pushdown=False,
            slice_pushdown=False,
            schema=schema,
        )
        self._given = given
        self._rows = query(events)

    def run(self, events: pl.DataFrame) -> pl.DataFrame:
        """The rows of the query over these events, which have the plan's schema."""
        self._given.append(events)
        try:
            return self._rows.collect(engine="in-memory" if events.height <= SMALL_FRAME_ROWS else "streaming")
        finally:
            self._given.clear()


def _run_planned(
    query: Callable[[pl.LazyFrame], pl.LazyFrame], events: pl.DataFrame, identity: Hashable
) -> pl.DataFrame:
    """The rows of a query over the events, by a kept plan of the same identity and schema if there is one.

    Threads may call it. An identity that cannot be hashed keeps no plan.
    """
    key = (identity, tuple(events.schema.items()))
    try:
        with _plans_lock:
            # out of the others' reach while it runs; meanwhile they make their own
            plan = _plans.pop(key, None)
    except TypeError:
        return QueryPlan(query, events.schema).run(events)
    plan = plan or QueryPlan(query, events.schema)
    rows = plan.run(events)
    with _plans_lock:
        _plans[key] = plan
    return rows
