"""The tables of parameters of the HTTP interface, with the limits that the code has."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import NamedTuple, get_type_hints

import msgspec

from docs.markdown import table
from leaderboard.results.validation import Result
from leaderboard.web.api.incidents import DEFAULT_HOURS
from leaderboard.web.media_types import ARROW_STREAM, FORMATS
from leaderboard.web.table_params import (
    DEFAULT_LIMIT,
    DEFAULT_NETWORK_GROUPS,
    GATEWAY_MIN_EVENTS,
    GATEWAY_MIN_SCORE,
    INTERVALS,
    MAX_LIMIT,
    MAX_ORCHESTRATORS,
    UNGROUPED,
)
from queries import AI, FORMULAS, NETWORK_GROUP_COLUMNS, RANKING_COLUMNS, TRANSCODING
from queries.times import WINDOWS


class Parameter(NamedTuple):
    """A query parameter: what it takes, and what counts where it is absent."""

    name: str
    meaning: str
    default: str = ""


ORCHESTRATOR = Parameter("orchestrator", "an address, upper or lower case; only its rows are answered", "all")
REGION = Parameter("region", "a region's code, upper or lower case; only its results count", "all")
PIPELINE = Parameter("pipeline", "AI jobs of this pipeline, in any spelling")
MODEL = Parameter("model", "AI jobs of this model; needs `pipeline`")
JOB_TYPE = Parameter(
    "job_type",
    f"`{TRANSCODING}` or `{AI}`",
    f"`{AI}` where `pipeline` or `model` is given, else `{TRANSCODING}`",
)
SINCE = Parameter(
    "since", "start of the window, inclusive", "`START_TIME_WINDOW` hours ago; with `until`, the first result"
)
UNTIL = Parameter("until", "end of the window, inclusive", "now")
WINDOW = Parameter(
    "window", f"in place of `since` and `until`: {', '.join(f'`{name}`' for name in WINDOWS)}, all of which end now"
)
FORMAT = Parameter("format", ", ".join(f"`{file_format.name}`" for file_format in FORMATS), "what `Accept` prefers")
INTERVAL_DEFAULT = ", ".join(
    f"`{interval}` for a window of at most {longest.days} days"
    if longest < timedelta.max
    else f"`{interval}` for others"
    for interval, longest in INTERVALS.items()
)
FORMULA = Parameter(
    "formula",
    f"the formula that scores: {', '.join(f'`{number}`' for number in FORMULAS)}; see `/api/formulas`",
    "`FORMULA`",
)
BUSY = Parameter(
    "busy",
    "`ignore`: transcoding jobs that failed only because the orchestrator was busy count as unscored",
    "they count as failed",
)
WARM = Parameter("warm", "`true` or `false`: only results of models that were loaded already, or were not", "all")
SCORING = (FORMULA, BUSY)
EVENTS = (REGION, PIPELINE, MODEL, JOB_TYPE, WARM, SINCE, UNTIL, WINDOW)

PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "/api/aggregated_stats": (
        ORCHESTRATOR,
        REGION,
        PIPELINE._replace(meaning="AI jobs of this pipeline; needs `model`"),
        MODEL,
        JOB_TYPE._replace(meaning=f"{JOB_TYPE.meaning}; `{AI}` needs `pipeline` and `model`"),
        WARM,
        SINCE,
        UNTIL,
        WINDOW,
        *SCORING,
        FORMAT,
    ),
    "/api/raw_stats": (
        ORCHESTRATOR._replace(meaning="an address, upper or lower case", default="required"),
        *EVENTS,
        FORMAT,
    ),
    "/api/score_history": (
        ORCHESTRATOR._replace(
            meaning=f"one or more addresses, repeated or separated by commas, at most {MAX_ORCHESTRATORS}",
            default="the network as a whole",
        ),
        *EVENTS,
        Parameter("interval", ", ".join(f"`{interval}`" for interval in INTERVALS), INTERVAL_DEFAULT),
        *SCORING,
        FORMAT,
    ),
    "/api/leaderboard": (
        ORCHESTRATOR,
        *EVENTS,
        Parameter("min_events", "leave out orchestrators with fewer scored results", "0"),
        Parameter("sort", ", ".join(f"`{column}`" for column in RANKING_COLUMNS), "`score`"),
        Parameter("order", "`asc` or `desc`", "best first"),
        Parameter("limit", f"rows per page, 1 to {MAX_LIMIT}", str(DEFAULT_LIMIT)),
        Parameter("cursor", "the `next_cursor` of the page before", "the first page"),
        *SCORING,
        FORMAT,
    ),
    "/api/discovery": (
        REGION,
        PIPELINE,
        MODEL,
        Parameter("min_score", "leave out nodes with a lower score, 0 to 1", "0"),
        Parameter("min_events", "leave out nodes with fewer scored results", "1"),
        Parameter("limit", f"the best so many, 1 to {MAX_LIMIT}", str(MAX_LIMIT)),
        Parameter("trusted", "`true`: every `score` is 1, as gateways that transcode need it", "`false`"),
        JOB_TYPE._replace(default=f"`{AI}`"),
        ORCHESTRATOR._replace(meaning="an address, upper or lower case; only its nodes are answered"),
        WARM,
        SINCE,
        UNTIL,
        WINDOW,
        *SCORING,
        FORMAT,
    ),
    "/api/gateway_preview": (
        REGION._replace(meaning="the gateway's `-region`, upper or lower case", default="required"),
        Parameter("min_score", "the gateway's `-minPerfScore`, 0 to 1", f"{GATEWAY_MIN_SCORE}"),
        Parameter("min_events", "as many scored results are tests enough", f"{GATEWAY_MIN_EVENTS}"),
        PIPELINE._replace(meaning="the scores of AI jobs of this pipeline; needs `model`"),
        MODEL,
        JOB_TYPE._replace(meaning=f"{JOB_TYPE.meaning}; `{AI}` needs `pipeline` and `model`"),
        ORCHESTRATOR,
        WARM,
        *SCORING,
        FORMAT,
    ),
    "/api/orchestrators/0x…": (WARM, SINCE, UNTIL, WINDOW, *SCORING, FORMAT),
    "/api/orchestrators/0x…/explanation": (*EVENTS, *SCORING),
    "/api/network_stats": (
        Parameter(
            "group_by",
            f"any of {', '.join(f'`{name}`' for name in NETWORK_GROUP_COLUMNS)}, with commas between them; "
            f"`{UNGROUPED}` answers one row",
            f"`{','.join(DEFAULT_NETWORK_GROUPS)}`",
        ),
        *EVENTS,
        ORCHESTRATOR,
        *SCORING,
        FORMAT,
    ),
    "/api/top_ai_score": (
        ORCHESTRATOR._replace(meaning="an address, upper or lower case", default="answers `{}`"),
        *SCORING,
    ),
    "/api/pipelines": (REGION, SINCE, UNTIL, WINDOW),
    "/api/incidents": (
        REGION._replace(meaning="a region's code, upper or lower case; only its incidents are answered"),
        JOB_TYPE._replace(default="both"),
        SINCE._replace(default=f"{DEFAULT_HOURS // 24} days ago; with `until`, the first result"),
        UNTIL,
        WINDOW,
        FORMAT,
    ),
    "/api/exclusions": (Parameter("all", "`true` answers those that were removed as well", "`false`"),),
}
"""The parameters of each endpoint that takes any."""

FIELDS = {
    "region": "code of a region that is registered for the result's job type",
    "orchestrator": "address, `0x` and 40 hexadecimal digits",
    "success_rate": "share of the job that succeeded, 0 to 1; a higher value counts as 1",
    "round_trip_time": "seconds from the request to the complete result",
    "errors": "a list of objects with `error_code`, `message` and `count`",
    "timestamp": "when the job ended by the tester's clock, unix seconds",
    "seg_duration": "transcoding: seconds of video in a segment",
    "upload_time": "transcoding: seconds",
    "download_time": "transcoding: seconds",
    "transcode_time": "transcoding: seconds",
    "segments_sent": "transcoding",
    "segments_received": "transcoding",
    "model": "AI: the model's name",
    "pipeline": "AI: the pipeline's name",
    "input_parameters": "AI: JSON in a string",
    "response_payload": "AI: JSON in a string",
    "model_is_warm": "AI: whether the model was loaded already",
}
_TYPES = {str: "string", bool: "boolean", float: "number", int: "integer"}


def parameter_table(endpoint: str) -> str:
    """One row per query parameter of an endpoint."""
    rows = ((f"`{name}`", meaning, default) for name, meaning, default in PARAMETERS[endpoint])
    return table(("parameter", "meaning", "default"), rows)


def field_table() -> str:
    """One row per field of a posted result that the service knows."""
    types = get_type_hints(Result)
    rows = (
        (
            f"`{field.name}`",
            _TYPES.get(types[field.name], "list"),
            FIELDS[field.name],
            "required" if field.required else _default(field.default),
        )
        for field in msgspec.structs.fields(Result)
    )
    return table(("field", "type", "meaning", "default"), rows)


def format_table() -> str:
    """One row per file format of an answer, and its media type."""
    rows = [(f"`{file_format.name}`", f"`{file_format.media_type}`") for file_format in FORMATS]
    return table(("format", "media type"), [*rows, ("(`Accept` only)", f"`{ARROW_STREAM.media_type}`")])


def _default(value: object) -> str:
    return f"`{msgspec.json.encode([] if value is None else value).decode()}`"


TABLES: dict[str, Callable[[], str]] = {
    "fields": field_table,
    "formats": format_table,
    **{f"parameters of {endpoint}": partial(parameter_table, endpoint) for endpoint in PARAMETERS},
}
"""The name of each table, and the function that writes it."""
