"""The interval of the mean quality of live video that succeeded."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.scoring.uncertainty.moments import (
    POOL_EVENTS,
    inverse,
    network_variance,
    pooled_variance,
    square_root,
    t_quantile,
)

DEFAULT_QUALITY_VARIANCE = 0.04
"""The variance of quality that counts like one event of the network."""


def with_quality_interval(groups: NarwhalsFrame) -> NarwhalsFrame:
    """Adds success_quality (the mean quality of jobs that succeeded) and its ends quality_low and quality_high.

    All are 0..1, and null where no job that succeeded has a quality.
    """
    rated = nw.when(nw.col("rated_success") > 0).then(nw.col("rated_success"))
    rated_events = nw.col("effective_events") * nw.col("quality_events") * inverse(nw.col("events"))
    groups = groups.with_columns(
        success_quality=nw.col("quality") * inverse(rated),
        mean_square=nw.col("quality_quality") * inverse(rated),
        rated_successes=rated_events * rated,
    )
    quality, successes = nw.col("success_quality"), nw.col("rated_successes")
    groups = groups.with_columns(
        quality_square=(successes * (nw.col("mean_square") - quality * quality)).clip(lower_bound=0.0),
        quality_degrees=(successes - 1).clip(lower_bound=0.0),
    )
    groups = groups.with_columns(
        network_quality_variance=network_variance("quality_square", "quality_degrees", DEFAULT_QUALITY_VARIANCE),
        quality_quantile=t_quantile(nw.col("quality_degrees") + POOL_EVENTS),
    )
    variance = pooled_variance("quality_square", "quality_degrees", "network_quality_variance")
    groups = groups.with_columns(
        quality_distance=nw.col("quality_quantile") * square_root(variance * inverse(successes))
    )
    return groups.with_columns(
        quality_low=(quality - nw.col("quality_distance")).clip(0.0, 1.0),
        quality_high=(quality + nw.col("quality_distance")).clip(0.0, 1.0),
    )
