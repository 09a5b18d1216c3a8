"""The interval of a success rate."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.scoring.uncertainty.moments import Z_95, covariance, inverse, square_root

CONTINUITY = 0.25
"""By how many events the interval is wider than Wilson's at both ends."""
VARIANCE_PRIOR = 0.25
"""The variance of a job that succeeds half of the time."""


def wilson_interval(share: nw.Expr, n: nw.Expr, continuity: float = 0.0) -> tuple[nw.Expr, nw.Expr]:
    """The ends of the 95 % interval (0..1) of a share of n events; null where one of these is.

    With p the share and z = Z_95, Wilson's interval is
    (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). Here p is lower for the
    low end, and higher for the high end, by ``continuity`` events. The source is
    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927.
    """
    shift = continuity * inverse(n)
    return _wilson_end((share - shift).clip(0.0, 1.0), n, -1), _wilson_end((share + shift).clip(0.0, 1.0), n, 1)


def with_success_interval(groups: NarwhalsFrame) -> NarwhalsFrame:
    """Adds success_square, which is Σ(sᵢ−s)², success_low and success_high."""
    n, success = nw.col("effective_events"), nw.col("success_rate")
    square = covariance("success_success", success, success).clip(lower_bound=0.0)
    groups = groups.with_columns(success_square=square, largest_square=n * success * (1 - success))
    dispersion = inverse(nw.col("success_square") + VARIANCE_PRIOR) * (nw.col("largest_square") + VARIANCE_PRIOR)
    groups = groups.with_columns(binomial_events=n * dispersion)
    low, high = wilson_interval(success, nw.col("binomial_events"), CONTINUITY)
    return groups.with_columns(success_low=low, success_high=high)


def _wilson_end(share: nw.Expr, n: nw.Expr, side: int) -> nw.Expr:
    part = Z_95**2 * inverse(n)
    deviation = square_root(part * (share * (1 - share) + 0.25 * part))
    return ((share + 0.5 * part + side * deviation) * inverse(1 + part)).clip(0.0, 1.0)
