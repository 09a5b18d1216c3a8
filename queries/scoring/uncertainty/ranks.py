"""The ranks that intervals of scores allow."""

from collections.abc import Iterable

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame

RANK_FIELDS = ("rank_low", "rank_high")


def with_rank_intervals(rows: NarwhalsFrame, columns: Iterable[str], decimals: int) -> NarwhalsFrame:
    """The ``columns`` of rows with an orchestrator, score_ci_low and score_ci_high, and rank_low and rank_high (Int64).

    rank_low is 1 and the number of orchestrators whose interval lies above the
    row's as a whole; rank_high is the number of those whose interval does not lie
    below it as a whole, the row's own included. Both are null where the
    interval is. Ends that agree in so many decimals count as equal.
    """
    # DuckDB's unpivot leaves out nulls, and -1 changes no other row's ranks
    rounded = rows.with_columns(
        low=nw.col("score_ci_low").round(decimals).fill_null(-1.0),
        high=nw.col("score_ci_high").round(decimals).fill_null(-1.0),
    )
    # a row per end: joining the rows to themselves would have DuckDB and Spark read the events again
    ends = rounded.unpivot(on=["low", "high"], index=[*columns], variable_name="kind", value_name="end")
    end, kind = nw.col("end"), nw.col("kind")
    # ends that are higher, without those of the same kind: of the other kind
    ends = ends.with_columns(
        lows_above=end.rank("min", descending=True) - end.rank("min", descending=True).over("kind"),
        highs_from=end.rank("max", descending=True) - end.rank("max", descending=True).over("kind"),
    ).with_columns(
        best=nw.when((kind == "high") & (end >= 0)).then(1 + nw.col("lows_above")),
        worst=nw.when((kind == "low") & (end >= 0)).then(nw.col("highs_from")),
    )
    ends = ends.with_columns(
        rank_low=nw.col("best").max().over("orchestrator").cast(nw.Int64()),
        rank_high=nw.col("worst").max().over("orchestrator").cast(nw.Int64()),
    )
    return ends.filter(kind == "low").select(*columns, *RANK_FIELDS)
