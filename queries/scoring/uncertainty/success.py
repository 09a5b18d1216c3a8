"""The interval of a success rate."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.scoring.uncertainty.moments import Z_95, covariance, inverse, square_root

CONTINUITY = 0.25
"""By how many events the interval is wider than Wilson's at both ends."""
VARIANCE_PRIOR = 0.25
"""The variance of a job that succeeds half of the time."""


def with_wilson_interval(
    rows: NarwhalsFrame, share: nw.Expr, n: nw.Expr, names: tuple[str, str], continuity: float = 0.0
) -> NarwhalsFrame:
    """Adds the ends of the 95 % interval (0..1) of a share of n events, under these names; null where one of both is.

    With p the share and z = Z_95, Wilson's interval is
    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). Here p is lower for the
    low end, and higher for the high end, by ``continuity`` events. The source is
    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927.
    """
    rows = rows.with_columns(z_squared_share=Z_95**2 * inverse(n), shift=continuity * inverse(n))
    rows = rows.with_columns(
        low_share=(share - nw.col("shift")).clip(0.0, 1.0), high_share=(share + nw.col("shift")).clip(0.0, 1.0)
    )
    low, high = names
    return rows.with_columns(_wilson_end("low_share", -1).alias(low), _wilson_end("high_share", 1).alias(high))


def with_success_interval(groups: NarwhalsFrame) -> NarwhalsFrame:
    """Adds success_square, which is Σ(sᵢ−s)², success_low and success_high."""
    n, success = nw.col("effective_events"), nw.col("success_rate")
    square = covariance("success_success", success, success).clip(lower_bound=0.0)
    groups = groups.with_columns(success_square=square, largest_square=n * success * (1 - success))
    dispersion = inverse(nw.col("success_square") + VARIANCE_PRIOR) * (nw.col("largest_square") + VARIANCE_PRIOR)
    groups = groups.with_columns(binomial_events=n * dispersion)
    return with_wilson_interval(groups, success, nw.col("binomial_events"), ("success_low", "success_high"), CONTINUITY)


def _wilson_end(column: str, side: int) -> nw.Expr:
    share, part = nw.col(column), nw.col("z_squared_share")
    deviation = square_root(part * (share * (1 - share) + 0.25 * part))
    return ((share + 0.5 * part + side * deviation) * inverse(1 + part)).clip(0.0, 1.0)
