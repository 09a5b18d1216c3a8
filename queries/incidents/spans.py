"""Spans in which most orchestrators were bad in one region at once, and fewer in the other regions."""

import polars as pl

BINS = ((1, 0), (3, 0), (3, 1), (6, 0), (6, 3), (12, 0), (12, 6))
"""The lengths in hours of the bins that are tried, and the hour at which they begin. A long bin finds what a short one
has too few results for; a shifted one finds what lies across the border of two."""
MAX_GOOD_HOURS = 6
"""Spans with a longer good time between them are two."""
MIN_ORCHESTRATORS = 5
MIN_SHARE = 0.5
"""More than this share of the orchestrators in a bin must have been bad."""
MAX_PART_ELSEWHERE = 1 / 3
"""In the other regions, at most this part of that share may have been bad at the same time."""
MIN_SURPRISE = 12.0
"""In nats. Chance alone makes a bin as bad as this with a probability below e^-12, six in a million."""
MIN_USUAL_SHARE, PRIOR_BINS = 0.02, 2.0
"""An orchestrator's usual share of bad bins is at least the first, and is drawn to its region's by so many bins."""
MAX_USUAL_SHARE = 0.5
"""An orchestrator that is bad in more of its hours has no vote: it tells nothing about the tester."""

_TESTER = ("region", "job_type")
_ORCHESTRATOR = (*_TESTER, "orchestrator")


def bad_spans(hours: pl.DataFrame) -> pl.DataFrame:
    """One row per span.

    ``hours`` has one row per region, job_type, orchestrator and hour (Int64):
    results, bad (Int64), and first_bad and last_bad (Datetime).

    Columns: region, job_type, begin, end (Datetime: the whole second of the first
    bad result of the affected orchestrators, and the one after their last),
    share_affected (Float64, of the orchestrators tested), orchestrators, events
    (Int64).
    """
    voters = hours.filter(_is_bad().mean().over(_ORCHESTRATOR) <= MAX_USUAL_SHARE)
    votes = _votes(voters.with_columns(bin="hour"))
    hourly = _count_votes(votes)
    flagged = pl.concat(_flagged_hours(voters, length, shift) for length, shift in BINS).unique()
    spans = _join_hours(hourly, flagged)
    elsewhere = spans.group_by("span").agg(pl.col("others", "bad_others").sum())
    orchestrators = (
        voters.join(spans.select(*_TESTER, "hour", "span"), on=[*_TESTER, "hour"])
        .group_by("span", *_ORCHESTRATOR)
        .agg(pl.col("results", "bad").sum(), pl.col("first_bad").min(), pl.col("last_bad").max())
        .with_columns(is_bad=_is_bad())
        .join(votes.unique(_ORCHESTRATOR).select(*_ORCHESTRATOR, "usual"), on=_ORCHESTRATOR)
    )
    found = orchestrators.group_by("span", *_TESTER).agg(
        pl.col("first_bad").filter("is_bad").min().dt.truncate("1s").alias("begin"),
        pl.col("last_bad").filter("is_bad").max().dt.truncate("1s").dt.offset_by("1s").alias("end"),
        pl.col("is_bad").mean().alias("share_affected"),
        pl.len().cast(pl.Int64).alias("orchestrators"),
        pl.col("results").sum().alias("events"),
        pl.col("usual").mean(),
    )
    # an hour may look like an incident that the whole span does not bear out
    return found.join(elsewhere, on="span").filter(_is_incident()).drop("span", "usual", "others", "bad_others")


def _join_hours(hourly: pl.DataFrame, flagged: pl.DataFrame) -> pl.DataFrame:
    """The hours of ``hourly`` that belong to a span, with span, which numbers the spans.

    These are the hours in which at least half of the orchestrators were bad, in
    a row that has a flagged hour. The other hours of a flagged bin are good.
    """
    key = (*_TESTER, "hour")
    bad_hours = hourly.rename({"bin": "hour"}).filter(pl.col("share_affected") >= MIN_SHARE)
    in_order = bad_hours.join(flagged.with_columns(flagged=True), on=key, how="left").sort(key)
    pause = pl.col("hour") - pl.col("hour").shift(1).over(_TESTER)
    in_rows = in_order.with_columns(row=(pause > 1).fill_null(value=True).cum_sum())
    found = in_rows.filter(pl.col("flagged").any().over("row"))
    return found.with_columns(span=(pause > MAX_GOOD_HOURS).fill_null(value=True).cum_sum())


def _flagged_hours(hours: pl.DataFrame, length: int, shift: int) -> pl.DataFrame:
    """The hours with results that are in a bin of an incident: region, job_type, hour."""
    binned = hours.with_columns(bin=(pl.col("hour") - shift) // length)
    bins = _count_votes(_votes(binned)).filter(_is_incident())
    return binned.join(bins, on=[*_TESTER, "bin"], how="semi").select(*_TESTER, "hour").unique()


def _votes(hours: pl.DataFrame) -> pl.DataFrame:
    """One row per orchestrator and bin: is_bad, and usual, the expected share of such bins."""
    votes = hours.group_by(*_ORCHESTRATOR, "bin").agg(pl.col("results", "bad").sum())
    votes = votes.select(*_ORCHESTRATOR, "bin", is_bad=_is_bad())
    in_region = pl.col("is_bad").mean().over(_TESTER)
    bad, bins = pl.col("is_bad").sum().over(_ORCHESTRATOR), pl.len().over(_ORCHESTRATOR)
    usual = (bad + PRIOR_BINS * in_region) / (bins + PRIOR_BINS)
    return votes.with_columns(usual=usual.clip(MIN_USUAL_SHARE))


def _count_votes(votes: pl.DataFrame) -> pl.DataFrame:
    """One row per region, job type and bin.

    Columns: region, job_type, bin; orchestrators; usual and share_affected
    (means); others and bad_others: the votes in the other regions, and how many
    of them are bad.
    """
    everywhere = ("job_type", "bin")
    bad, tested = pl.col("bad"), pl.col("orchestrators")
    counts = votes.group_by(*_TESTER, "bin").agg(
        pl.col("is_bad").sum().cast(pl.Int64).alias("bad"),
        pl.len().cast(pl.Int64).alias("orchestrators"),
        pl.col("usual").mean(),
        pl.col("is_bad").mean().alias("share_affected"),
    )
    return counts.with_columns(
        others=tested.sum().over(everywhere) - tested, bad_others=bad.sum().over(everywhere) - bad
    ).drop("bad")


def _is_incident() -> pl.Expr:
    """Whether most orchestrators were bad, more than by chance, and fewer in the other regions."""
    share = pl.col("share_affected")
    elsewhere = pl.when(pl.col("others") > 0).then(pl.col("bad_others") / pl.col("others")).otherwise(0.0)
    return pl.all_horizontal(
        pl.col("orchestrators") >= MIN_ORCHESTRATORS,
        share > MIN_SHARE,
        share > pl.col("usual"),
        elsewhere <= MAX_PART_ELSEWHERE * share,
        _surprise() >= MIN_SURPRISE,
    )


def _surprise() -> pl.Expr:
    """How improbable it is that so many orchestrators are bad by chance: −ln of a bound of the probability.

    For n independent orchestrators of which the share p is usually bad, and the
    share a > p was: n·(a·ln(a/p) + (1−a)·ln((1−a)/(1−p))). That is Chernoff's
    bound; with p their mean it holds for orchestrators that differ (W.
    Hoeffding, "Probability inequalities for sums of bounded random variables",
    JASA 58, 1963).
    """
    n, a, p = pl.col("orchestrators"), pl.col("share_affected"), pl.col("usual")
    good = pl.when(a < 1).then((1 - a) * ((1 - a) / (1 - p)).log()).otherwise(0.0)
    return n * (a * (a / p).log() + good)


def _is_bad() -> pl.Expr:
    """Whether more than half of the results were bad."""
    return 2 * pl.col("bad") > pl.col("results")
