"""How good has each orchestrator been, over time?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries import scores
from queries.aggregated_stats import SCORE_FIELDS
from queries.query import AI, Query, select

GROUP = ("bucket", "orchestrator", "region", "pipeline", "model")
SUMS = ("sum_success_rate", "sum_round_trip_time", "sum_seg_duration")
COLUMNS = (
    *("bucket", "orchestrator", "region", "job_type", "pipeline", "model", "events"),
    *(*SUMS, "median_round_trip_time", *SCORE_FIELDS),
)


def score_history(events: IntoFrameT, query: Query = Query(), *, every: str = "1d") -> IntoFrameT:
    """One row per span of time, orchestrator, region, pipeline and model that has events, sorted by these.

    ``every`` is the length of a span in UTC, one of 1h, 1d, 1mo, and on Polars
    any multiple. Each is scored by itself, AI jobs against the median of all
    orchestrators' jobs in the span with the same pipeline and model; those
    that name neither are left out. The query's region, pipeline and model
    choose the events, its orchestrator the rows of the answer only.

    Columns: bucket (Datetime, UTC, when the span begins), orchestrator,
    region, job_type, pipeline, model (null for transcoding), events (Int64),
    the sums of success_rate (each counting as 1 at most), round_trip_time and
    seg_duration as sum_success_rate and so on (Float64), the
    median_round_trip_time of the network (null for transcoding, and where no
    job succeeded), and success_rate, round_trip_score, score (0..1). From the
    sums and counts of several spans follow the means of them all. The engine's
    session must be in UTC.
    """
    chosen = select(nw.from_native(events), query, "region", "pipeline", "model")
    chosen = chosen.with_columns(bucket=nw.col("event_time").dt.truncate(every))
    if query.job_type == AI:
        chosen = chosen.filter(~nw.col("pipeline").is_null(), ~nw.col("model").is_null())
        group = GROUP
    else:
        group = GROUP[:3]
    of_answer = chosen if query.orchestrator is None else chosen.filter(nw.col("orchestrator") == query.orchestrator)
    means = of_answer.group_by(*group).agg(nw.len().cast(nw.Int64()).alias("events"), *scores.means(), *scores.sums())
    if query.job_type == AI:
        job = ["bucket", "pipeline", "model"]
        medians = chosen.filter(scores.successful()).group_by(*job).agg(scores.median_round_trip_time())
        scored = means.join(medians, on=job, how="left").with_columns(*scores.ai_scores())
    else:
        absent = {"pipeline": nw.String(), "model": nw.String(), "median_round_trip_time": nw.Float64()}
        nothing = [nw.lit(None).cast(dtype).alias(name) for name, dtype in absent.items()]
        scored = means.with_columns(*nothing, *scores.transcoding_scores())
    job_type = nw.lit(query.job_type).alias("job_type")
    return scored.with_columns(job_type).select(*COLUMNS).sort(*GROUP).to_native()
