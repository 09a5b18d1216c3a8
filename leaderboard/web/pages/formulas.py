"""Formulas: what each version is, how they differ, and a calculator that scores a real result by each of them."""

from dataclasses import replace
from hashlib import blake2b
from importlib.resources import files
from typing import Any

import polars as pl
from flask import Response, abort

from leaderboard.reports import notebooks
from leaderboard.results import validation
from leaderboard.results.validation import InvalidResult
from leaderboard.services import service
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import Format
from leaderboard.web.pages.calculator import Calculation, calculate, event_of, newest_event, result_of
from leaderboard.web.pages.drawing.notation import formula_lines
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.params import InvalidParameter
from leaderboard.web.rendering import ETAG_BYTES
from leaderboard.web.responses import respond
from leaderboard.web.table_params import parse_address
from leaderboard.web.windows import scored_window
from queries import FORMULA_SYMBOLS, FORMULAS, EventWindow, Formula

JOB_NAMES = {"transcoding": "Transcoding", "ai": "AI jobs", "live-video-to-video": "Live video"}
NOTEBOOK = "01-reproduce-scores"
SOURCE_PACKAGE = "queries.scoring"
SOURCES = {
    "formula.py": "the versions as values",
    "formulas.py": "the formulas",
    "scored_events.py": "what of each result counts",
    "grouping.py": "means, medians and groups",
}
"""The files of SOURCE_PACKAGE that make scores, and what they are about."""
EXAMPLES = {
    "a transcoding result": '{"region": "FRA", "orchestrator": "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7", '
    '"success_rate": 1, "round_trip_time": 0.7, "seg_duration": 2}',
    "a live stream": '{"region": "FRA", "orchestrator": "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7", '
    '"success_rate": 1, "round_trip_time": 0.9, "pipeline": "live-video-to-video", "model": "streamdiffusion"}',
}
"""Results to begin with, by what the page calls them."""
TEXT = Format("txt", "text/plain; charset=utf-8")
NOTEBOOK_FORMAT = Format("ipynb", "application/x-ipynb+json")
_NOTHING_ASKED = EventWindow("no results", list)


@bp.get("/formulas")
def formulas() -> Response:
    """The formulas, and the score of a result by each of them if the URL has one, or names an orchestrator."""
    state = current_state()
    versions = [replace(formula, ignores_busy=state.formula.ignores_busy) for formula in FORMULAS.values()]
    is_asked = bool(state.given.keys() & {"result", "orchestrator"})
    windows = [scored_window(state.time_range, formula) for formula in versions] if is_asked else [_NOTHING_ASKED]
    error, event = _event(state, windows[0])

    def values() -> dict[str, Any]:
        scored = [] if event is None else list(map(_calculate_with(event), windows, versions))
        return {
            "versions": [_version(formula) for formula in versions],
            "symbols": FORMULA_SYMBOLS,
            "rules": _rules(versions),
            "constants": _constants(versions),
            "notebook": NOTEBOOK if NOTEBOOK in notebooks.names() else None,
            "sources": SOURCES,
            "examples": {name: state.link(result=text, orchestrator=None) for name, text in EXAMPLES.items()},
            "error": error,
            "event": None if event is None else event.row(0, named=True),
            "is_stored": event is not None and "result" not in state.given,
            "result": state.given.get("result") or ("" if event is None else result_of(event.row(0, named=True))),
            "calculations": scored,
        }

    response = page_response(state, windows, "formulas.html", values)
    if error and response.status_code == 200:
        response.status_code = 400
    return response


@bp.get("/formulas/source/<name>")
def formula_source(name: str) -> Response:
    """One of the files that make scores, as this release has it."""
    if name not in SOURCES:
        abort(404)
    return _send((files(SOURCE_PACKAGE) / name).read_bytes(), TEXT)


@bp.get("/formulas/notebook.ipynb")
def formula_notebook() -> Response:
    """The notebook that computes scores by hand."""
    if NOTEBOOK not in notebooks.names():
        abort(404)
    response = _send(notebooks.read(NOTEBOOK).encode(), NOTEBOOK_FORMAT)
    response.headers["Content-Disposition"] = f'attachment; filename="{NOTEBOOK}{notebooks.SUFFIX}"'
    return response


def _send(content: bytes, file_format: Format) -> Response:
    etag = blake2b(content, digest_size=ETAG_BYTES).hexdigest()
    return respond(RenderedResponse(content, etag, file_format))


def _event(state: PageState, window: EventWindow) -> tuple[str, pl.DataFrame | None]:
    """A sentence about what is wrong with the question, and the result that is asked for, if any."""
    given = state.given
    try:
        if "result" in given:
            body = given["result"].encode(errors="surrogatepass")
            return "", event_of(validation.parse(body), body)
        if "orchestrator" not in given:
            return "", None
        orchestrator = parse_address(given["orchestrator"].strip())
    except (InvalidResult, InvalidParameter) as error:
        return str(error), None
    event = newest_event(window, state, orchestrator)
    return ("", event) if event.height else (f"orchestrator {orchestrator} has no result in this window", None)


def _calculate_with(event: pl.DataFrame) -> Any:
    exclusions = service().exclusions.active()

    def score(window: EventWindow, formula: Formula) -> Calculation:
        return calculate(event, window, exclusions, formula)

    return score


def _version(formula: Formula) -> dict[str, Any]:
    """A version in words and as formulas."""
    description = formula.describe()
    return {
        "name": formula.name,
        "is_default": formula.name == service().settings.formula.name,
        "scores": {JOB_NAMES[job]: formula_lines(text, FORMULA_SYMBOLS) for job, text in description["scores"].items()},
        "rules": description["rules"],
    }


def _rules(versions: list[Formula]) -> dict[str, list[bool]]:
    """Each rule that one of the versions has, and which of them have it."""
    by_version = [formula.describe()["rules"] for formula in versions]
    rules = dict.fromkeys(rule for rules in by_version for rule in rules)
    return {rule: [rule in having for having in by_version] for rule in rules}


def _constants(versions: list[Formula]) -> dict[str, list[str]]:
    """The numbers of the versions, by their names in the library."""
    fields = [formula.as_dict() for formula in versions]
    names = ("success_weight", "round_trip_weight", "score_at_median", "min_events")
    return {name: [f"{values[name]:g}" for values in fields] for name in names}
