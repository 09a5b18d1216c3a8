"""Second moments of the events of a group, and variances that the network helps to estimate."""

import narwhals.stable.v2 as nw

from queries.filters import AI
from queries.scoring.formulas import counted_value
from queries.scoring.scored_events import AI_KEYS

Z_95 = 1.959963984540054
"""The quantile of the standard normal distribution at 0.975: 95 % lie within so many deviations of the mean."""
POOL_EVENTS = 4
"""The network's variance counts like that of so many events."""


def products(job_type: str) -> dict[str, nw.Expr]:
    """Values of events by name. ``with_spreads`` needs their means over a group beside those of the measures.

    A value is null where it does not count.
    """
    success, seconds = counted_value("success_rate"), counted_value("round_trip_time")
    values = {"success_success": success * success, "success_time": success * seconds, "time_time": seconds * seconds}
    if job_type == AI:
        quality = counted_value("quality")
        rated_success = nw.when(~quality.is_null()).then(success)
        return values | {"quality_quality": quality * quality, "rated_success": rated_success}
    duration = counted_value("seg_duration")
    return values | {
        "success_duration": success * duration,
        "time_duration": seconds * duration,
        "duration_duration": duration * duration,
    }


def inverse(value: nw.Expr) -> nw.Expr:
    """1/value. Write products of this, not quotients, and ``square_root``, not ``sqrt``.

    On Spark, narwhals writes both operands of a quotient, and what a root is
    taken of, several times into the query, which explodes where they are nested.
    """
    return value**-1.0


def square_root(value: nw.Expr) -> nw.Expr:
    """√value; see ``inverse``."""
    return value**0.5


def covariance(product: str, first: nw.Expr, second: nw.Expr) -> nw.Expr:
    """Σ(aᵢ−a)(bᵢ−b) over the events of a group, from the means of two values and of their product."""
    return nw.col("effective_events") * (nw.col(product) - first * second)


def network_variance(square: str, degrees: str, default: float) -> nw.Expr:
    """The variance over all groups of a job. ``default`` counts like one event, so that it is never 0."""
    total, events = (nw.col(name).sum().over(*AI_KEYS) for name in (square, degrees))
    return (total + default) * inverse(events + 1)


def pooled_variance(square: str, degrees: str, network: str) -> nw.Expr:
    """The variance of a group's events: of their own sum of squares, and of the network."""
    return (nw.col(square) + POOL_EVENTS * nw.col(network)) * inverse(nw.col(degrees) + POOL_EVENTS)


def t_quantile(degrees: nw.Expr) -> nw.Expr:
    """The quantile of Student's t at 0.975, to 0.01 for 4 or more degrees of freedom.

    The source is M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions", 26.7.5.
    """
    z = Z_95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    share = inverse(degrees)
    return z + (first + (second + third * share) * share) * share
