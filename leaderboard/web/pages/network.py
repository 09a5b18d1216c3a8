"""The network: what was tested, how it went, which testers post, what went wrong with them, and what came and went."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl
from flask import Response

import queries
from leaderboard.exclusions.exclusion_table import StoredExclusion
from leaderboard.services import service
from leaderboard.web.caching.incidents import incidents_in
from leaderboard.web.pages.drawing.timeline import Span, timeline
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.facets import Choice, region_choices
from leaderboard.web.pages.layout.model_links import model_link
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import WINDOW_PARAMETERS, PageState
from leaderboard.web.pages.layout.stats import network_stats
from leaderboard.web.pages.layout.tables import Figure
from leaderboard.web.windows import scored_window, window_before
from queries import AI, SUGGESTED_MIN_EVENTS, TRANSCODING, EventWindow, slug_of
from queries.times import MIN_TIME, TimeRange

JOB_TYPES = {TRANSCODING: "Transcoding", AI: "AI"}
USUAL_DAYS = timedelta(days=7)
"""At least so much before the end of a window tells how long a tester usually pauses."""
SILENT_FACTOR = 3
"""A tester is silent after so many times its usual longest pause of a day, as ``queries.incidents`` has it."""
MIN_SILENCE = timedelta(hours=1)
KINDS = {
    "failures": "most orchestrators failed",
    "slowness": "most orchestrators were slow",
    "silence": "the tester posted nothing",
}
"""The kinds of incidents in words."""
EXCLUDED = "excluded"


class Windows(NamedTuple):
    """The events that count in the window and in the one before, and all that were posted around it."""

    now: EventWindow
    before: EventWindow | None
    posted: EventWindow


@bp.get("/network")
def network() -> Response:
    """The network in a window, of all jobs or of those of the filter."""
    state = current_state()
    now = datetime.now(UTC)
    shown = scored_window(state.time_range, state.formula)
    windows = Windows(
        shown,
        window_before(shown, state.previous_range, state.formula),
        service().events.window(*_usual_range(state)),
    )

    def values() -> dict[str, Any]:
        testers = _testers(windows, state, now)
        incidents = incidents_in(state.time_range, _job_type(state)).filter(_is_in_region(state)).to_dicts()
        exclusions = _exclusions(state)
        found = {job_type: _Found(windows, _of_job_type(state, job_type)) for job_type in _job_types(state)}
        return {
            "job_choices": _job_choices(state),
            "region_choices": region_choices(state, {tester["region"] for tester in testers}),
            "job_types": JOB_TYPES,
            "shown_job_types": _job_types(state),
            "kinds": KINDS,
            "suggested_min_events": SUGGESTED_MIN_EVENTS,
            "figures": _figures(list(found.values()), testers, len(incidents)),
            "jobs": [row for one in found.values() for row in one.jobs()],
            "has_before": windows.before is not None,
            "testers": testers,
            "incidents": [row | _exclusion_of(row, exclusions) for row in reversed(incidents)],
            "exclusions": exclusions,
            "applies_exclusions": state.formula.applies_exclusions,
            # without a window, the endpoint has another one
            "incident_parameters": {} if state.given.keys() & WINDOW_PARAMETERS else {"window": state.window_name},
            "timeline": _timeline(state, incidents, exclusions, now),
            **_changes(state, list(found.values())),
        }

    # a tester becomes late while nothing else changes
    minute = f"{now:%Y-%m-%dT%H:%M}"
    first = replace(shown, version=None if shown.version is None else f"{shown.version} {minute}")
    others = [window for window in windows[1:] if window is not None]
    return page_response(state, [first, *others], "network.html", values)


class _Found:
    """What the two windows have of one job type."""

    def __init__(self, windows: Windows, state: PageState) -> None:
        self.state = state
        self._windows = windows
        self.total, self.total_before = (self._rows(window) for window in windows[:2])
        self.orchestrators, self.orchestrators_before = (self._rows(window, "orchestrator") for window in windows[:2])
        keys = ("pipeline", "model") if state.event_filter.job_type == AI else ()
        self.models, self.models_before = (self._rows(window, *keys) if keys else [] for window in windows[:2])

    def _rows(self, window: EventWindow | None, *group_columns: str) -> Sequence[Mapping[str, Any]]:
        return [] if window is None else network_stats(window, self.state, *group_columns).to_dicts()

    def jobs(self) -> list[dict[str, Any]]:
        """The rows of the table: the job type, and the models of AI."""
        event_filter = self.state.event_filter
        is_ai = event_filter.job_type == AI
        rows = []
        if self.total and not event_filter.model:
            kind = {"job_type": event_filter.job_type, "pipeline": event_filter.pipeline}
            label = (event_filter.pipeline or "All AI jobs") if is_ai else JOB_TYPES[TRANSCODING]
            url = self.state.link("pages.ranking", model=None, **kind)
            before = self.total_before[0] if self.total_before else {}
            rows.append(_job(label, "", url, self.total[0], before, has_times=not is_ai))
        models_before = {_model_key(row): row for row in self.models_before}
        for row in self.models:
            url = model_link(self.state, row["pipeline"], row["model"])
            before = models_before.get(_model_key(row), {})
            rows.append(_job(row["pipeline"], row["model"], url, row, before, has_times=True))
        return rows


def _usual_range(state: PageState) -> TimeRange:
    """The time that tells which testers there are, and how long they usually pause."""
    since, until = state.time_range
    start = min(since, until - USUAL_DAYS) if until - MIN_TIME > USUAL_DAYS else since
    return TimeRange(min(start, state.previous_range.since) if state.previous_range else start, until)


def _job_type(state: PageState) -> str | None:
    """The job type that the URL asks for. Without one, the page shows both."""
    return state.event_filter.job_type if state.given.keys() & {"job_type", "pipeline", "model"} else None


def _job_types(state: PageState) -> Sequence[str]:
    chosen = _job_type(state)
    return tuple(JOB_TYPES) if chosen is None else (chosen,)


def _of_job_type(state: PageState, job_type: str) -> PageState:
    return replace(state, event_filter=replace(state.event_filter, job_type=job_type))


def _is_in_region(state: PageState) -> pl.Expr:
    region = state.event_filter.region
    return pl.lit(value=True) if region is None else pl.col("region") == region


def _job_choices(state: PageState) -> tuple[Choice, ...]:
    """All jobs, those of each type, and the pipeline or model that the URL names."""
    job, chosen = state.event_filter, _job_type(state)
    names = {None: "All jobs", TRANSCODING: "Transcoding", AI: "All AI jobs"}
    choices = [
        Choice(label, state.link(job_type=kind, pipeline=None, model=None), kind == chosen and job.pipeline is None)
        for kind, label in names.items()
    ]
    if job.pipeline is not None:
        choices.append(Choice(" ".join(filter(None, (job.pipeline, job.model))), state.link(), is_current=True))
    return tuple(choices)


def _job(
    label: str, model: str, url: str, now: Mapping[str, Any], before: Mapping[str, Any], *, has_times: bool
) -> dict[str, Any]:
    """A row of the table of jobs, with the changes to the window before."""
    changes: dict[str, tuple[str, Callable[[Any], str]]] = {
        "events": ("events_change", formats.change),
        "success_rate": ("success_change", formats.points),
        "p50_round_trip_time": ("p50_change", lambda seconds: formats.change(seconds, 2, " s")),
    }
    written = {
        name: "" if None in (now[column], before.get(column)) else write(now[column] - before[column])
        for column, (name, write) in changes.items()
    }
    return {"label": label, "model": model, "url": url, "has_times": has_times, **now, **written}


def _model_key(row: Mapping[str, Any]) -> tuple[str, str]:
    """What a model is known by in both windows, which may spell its pipeline differently."""
    return slug_of(row["pipeline"]), row["model"]


def _figures(found: Sequence[_Found], testers: Sequence[Mapping[str, Any]], incident_count: int) -> list[Figure]:
    """The numbers above the tables. None where nothing was tested."""
    totals = [total for one in found for total in one.total]
    if not totals:
        return []
    events = sum(row["events"] for row in totals)
    events_before = sum(row["events"] for one in found for row in one.total_before)
    names = _orchestrators(found, lambda one: one.orchestrators)
    names_before = _orchestrators(found, lambda one: one.orchestrators_before)
    successes = sum(row["events"] * (row["success_rate"] or 0) for row in totals)
    on_time = sum(tester["state"] == "on time" for tester in testers)
    return [
        Figure(
            "Tests",
            formats.count(events),
            formats.plural(sum(row["unscored"] for row in totals), "unscored result") + " more",
            formats.change(events - events_before) if events_before else "",
        ),
        Figure(
            "Orchestrators",
            formats.count(len(names)),
            "tested at least once",
            formats.change(len(names) - len(names_before)) if names_before else "",
        ),
        Figure(
            "Success rate",
            formats.percent(successes / events if events else None),
            formats.plural(sum(row["failed"] for row in totals), "failed test"),
        ),
        Figure("Testers on time", f"{on_time} of {len(testers)}", "a tester is a region and a kind of job"),
        Figure("Incidents", formats.count(incident_count), "a tester, not the orchestrators, had trouble"),
        Figure("Newest result", formats.moment(max(row["last_seen"] for row in totals))),
    ]


def _orchestrators(
    found: Sequence[_Found], rows: Callable[[_Found], Sequence[Mapping[str, Any]]]
) -> dict[str, Mapping[str, Any]]:
    """The rows by orchestrator, of those tested with several kinds of jobs the one seen last."""
    in_order = sorted((row for one in found for row in rows(one)), key=lambda row: row["last_seen"])
    return {row["orchestrator"]: row for row in in_order}


def _testers(windows: Windows, state: PageState, now: datetime) -> list[dict[str, Any]]:
    """The testers, those that are late first: their newest result, and when the next one is due."""
    since, until = state.time_range
    reference = until if "until" in state.given else now
    posted = windows.posted.collect(queries.posting_stats).cast({"region": pl.String, "job_type": pl.String})
    in_window = service().events.window(since, until).collect(queries.posting_stats)
    counts = in_window.select(pl.col("region", "job_type").cast(pl.String), "events", "orchestrators")
    rows = (
        posted.drop("events", "orchestrators")
        .join(counts, on=["region", "job_type"], how="left")
        .with_columns(pl.col("events", "orchestrators").fill_null(0))
        .filter(_is_in_region(state), pl.col("job_type").is_in(_job_types(state)))
        .sort("region", "job_type")
    )
    testers = [row | _punctuality(row, reference) for row in rows.iter_rows(named=True)]
    order = ("silent", "late", "on time", "seen once")
    return sorted(testers, key=lambda tester: order.index(tester["state"]))


def _punctuality(row: Mapping[str, Any], reference: datetime) -> dict[str, Any]:
    """Whether a tester is on time, its usual pause, and until when its next result is due."""
    if row["usual_pause"] is None:
        return {"state": "seen once", "usual_pause": None, "due": None}
    pause = timedelta(seconds=row["usual_pause"])
    age = reference - row["last_seen"]
    state = "on time" if age <= pause else "late" if age <= max(SILENT_FACTOR * pause, MIN_SILENCE) else "silent"
    return {"state": state, "usual_pause": pause, "due": row["last_seen"] + pause}


def _exclusions(state: PageState) -> list[StoredExclusion]:
    """The exclusions that overlap the window, newest first."""
    region, job_types = state.event_filter.region, _job_types(state)
    return [
        stored
        for stored in reversed(service().exclusion_list(with_removed=False).exclusions)
        if stored.exclusion.overlaps(*state.time_range)
        and region in (None, stored.exclusion.region)
        and (stored.exclusion.job_type is None or stored.exclusion.job_type in job_types)
    ]


def _exclusion_of(incident: Mapping[str, Any], exclusions: Sequence[StoredExclusion]) -> dict[str, Any]:
    """Whether the results of an incident are left out of scores, and the command for that; a silence has no results."""
    region, job_type = incident["region"], incident["job_type"]
    is_excluded = any(
        one.region == region
        and one.job_type in (None, job_type)
        and one.since <= incident["begin"]
        and one.until >= incident["end"]
        for one in (stored.exclusion for stored in exclusions)
    )
    if is_excluded or incident["events"] is None:
        return {"is_excluded": is_excluded, "command": None}
    since, until = (f"{incident[bound]:%Y-%m-%dT%H:%M:%SZ}" for bound in ("begin", "end"))
    words = ["leaderboard", "exclusions", "add", "--region", region, "--job-type", job_type]
    words += ["--since", since, "--until", until, "--reason", f"{KINDS[incident['kind']]} at once"]
    return {"is_excluded": False, "command": shlex.join(words)}


def _timeline(
    state: PageState, incidents: Sequence[Mapping[str, Any]], exclusions: Sequence[StoredExclusion], now: datetime
) -> Any:
    """Incidents and exclusions side by side, None where there are none."""
    spans = [
        Span(
            f"{row['region']}, {JOB_TYPES[row['job_type']]}",
            row["begin"],
            row["end"],
            row["kind"],
            f"{KINDS[row['kind']]}, {formats.span(row['end'] - row['begin'])} from {row['begin']:%Y-%m-%d %H:%M} UTC",
        )
        for row in incidents
    ]
    spans += (
        Span(
            f"{one.region}, {JOB_TYPES[job_type]}",
            one.since,
            min(one.until, now),
            EXCLUDED,
            f"left out of scores: {one.reason}",
            is_underline=True,
        )
        for one in (stored.exclusion for stored in exclusions)
        for job_type in _job_types(state)
        if one.job_type in (None, job_type)
    )
    since, until = state.time_range
    if not spans:
        return None
    # a window without a beginning would have no scale
    since = max(since, min(span.begin for span in spans)) if since == MIN_TIME else since
    return timeline(spans, TimeRange(since, max(since + MIN_SILENCE, min(until, now))))


def _changes(state: PageState, found: Sequence[_Found]) -> dict[str, Any]:
    """What was tested in the window and not in the one before, and the other way round."""
    names = _orchestrators(found, lambda one: one.orchestrators)
    names_before = _orchestrators(found, lambda one: one.orchestrators_before)
    models = {_model_key(row): row for one in found for row in one.models}
    models_before = {_model_key(row): row for one in found for row in one.models_before}
    pipelines, pipelines_before = ({pipeline for pipeline, _ in keys} for keys in (models, models_before))

    def listed(keys: set[tuple[str, str]], rows: Mapping[tuple[str, str], Any]) -> list[dict[str, Any]]:
        return [
            {
                **rows[key],
                "url": model_link(state, rows[key]["pipeline"], rows[key]["model"]),
                "is_pipeline": key[0] in pipelines ^ pipelines_before,
            }
            for key in sorted(keys)
        ]

    return {
        "was_tested_before": bool(names_before),
        "new_orchestrators": [names[name] for name in sorted(names.keys() - names_before.keys())],
        "vanished_orchestrators": [names_before[name] for name in sorted(names_before.keys() - names.keys())],
        "new_models": listed(models.keys() - models_before.keys(), models),
        "vanished_models": listed(models_before.keys() - models.keys(), models_before),
    }
