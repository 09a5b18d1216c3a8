"""The notebooks run from top to bottom, and their figures are those of the service and of plain Python."""

import ast
import json
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import clone, drop, rows
from tests.leaderboard.web.test_recomputed import SCORES, Jobs, by, close, moment, scored, summed_up, typical
from tests.support.commands import PROJECT, run_leaderboard
from tests.support.service import RunningService

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
SINCE, UNTIL = "2026-08-25T00:00:00+00:00", "2026-09-01T00:00:00+00:00"
"""The week that the notebooks are of."""
LARGEST = 1_000_000
"""Bytes of a notebook that a code host still shows."""
PATHS = (str(PROJECT), "/home/", "/root/", "/tmp/", "/Users/", "site-packages")


def tagged(notebook: Any, tag: str) -> list[Any]:
    """The cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def with_parameters(notebook: Any, **values: str | None) -> Any:
    """The notebook with other values in its first code cell, as papermill sets them."""
    (cell,) = tagged(notebook, "parameters")
    cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return notebook


def last_value(cell: Any) -> str:
    (output,) = (output for output in cell.outputs if output.output_type == "execute_result")
    return output.data["text/plain"]


def shown(notebook: Any) -> str:
    """All that its cells show."""
    return " ".join(str(output) for cell in notebook.cells for output in cell.get("outputs", ()))


@pytest.fixture(scope="module")
def database(server: str, template: str) -> Iterator[str]:
    """A database with 20,000 results of three weeks. For reading."""
    url = clone(server, template, "notebooks")
    done = run_leaderboard("simulate", "20000", "--days", "21", "--until", UNTIL, POSTGRES=url)
    assert done.returncode == 0, done.stderr
    yield url
    drop(server, "notebooks")


@pytest.fixture(scope="module")
def service(database: str) -> Iterator[RunningService]:
    with RunningService({"POSTGRES": database}) as running:
        yield running


@pytest.fixture(scope="module")
def run(database: str, service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a notebook over the week, once."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    @cache
    def run(name: str, **values: str | None) -> Any:
        notebook = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
        window = {"SINCE": SINCE, "UNTIL": UNTIL}
        url = f"http://127.0.0.1:{service.port}"
        with_parameters(notebook, **{"DATABASE": database, "SERVICE": url} | window | values)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(elsewhere)}}).execute()
        return notebook

    return run


@pytest.fixture(scope="module")
def jobs(database: str, service: RunningService) -> dict[str, Jobs]:
    """All results of the week, by job type, as raw_stats answers them."""
    window = f"since={quote(SINCE)}&until={quote(UNTIL)}"
    found: dict[str, Jobs] = {"transcoding": [], "ai": []}
    for (orchestrator,) in rows(database, "SELECT DISTINCT orchestrator FROM events"):
        for job_type, results in found.items():
            path = f"/api/raw_stats?{window}&orchestrator={orchestrator}&job_type={job_type}&format=ndjson"
            lines = [json.loads(line) for line in service.get(path).body.decode().splitlines()]
            results += [json.loads(line["result"]) | {"at": moment(line["event_time"])} for line in lines]
    return found


def figures(notebook: Any) -> dict[str, Any]:
    (cell,) = tagged(notebook, "figures")
    return ast.literal_eval(last_value(cell))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_charts(run: Any, name: str) -> None:
    outputs = [output for cell in run(name).cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if "image/svg+xml" in output.get("data", ())]
    assert [output.output_type for output in outputs if output.output_type in ("error", "stream")] == []


@pytest.mark.parametrize("name", ["01-reproduce-scores", "04-your-own-score"])
def test_what_a_notebook_computes_by_hand_differs_in_nothing(run: Any, name: str) -> None:
    differences = [float(last_value(cell)) for cell in tagged(run(name), "difference")]
    assert differences
    assert max(differences) < 1e-9


def ranked(
    jobs: Jobs, weights: tuple[float, float] | None = None, at_median: float = 0.8
) -> dict[str, dict[str, float]]:
    """The scores of each orchestrator: of transcoding, or with weights of AI jobs."""
    references = {job: typical(group) for job, group in by(jobs, "pipeline", "model").items()} if weights else {}
    found = {}
    for (orchestrator,), own in by(jobs, "orchestrator").items():
        parts = []
        for region in by(own, "region").values():
            if weights is None:
                parts.append(scored(region))
                continue
            models = by(region, "pipeline", "model").items()
            weighed = [(len(group), weighted(group, references[job], weights, at_median)) for job, group in models]
            parts.append({name: sum(n * part[name] for n, part in weighed) / len(region) for name in SCORES})
        found[orchestrator] = {name: sum(part[name] for part in parts) / len(parts) for name in SCORES}
    return found


def weighted(jobs: Jobs, reference: float | None, weights: tuple[float, float], at_median: float) -> dict[str, float]:
    of_success, of_speed = weights
    parts = scored(jobs, reference, ai=True)
    success = parts["success_rate"]
    seconds = sum(job["round_trip_time"] for job in jobs) / len(jobs)
    speed = at_median ** (seconds / reference) if reference else 0
    return parts | {"round_trip_score": speed, "score": of_success * success + of_speed * speed if success else 0}


OFFICIAL = (0.65, 0.35)


def test_the_week_of_the_network_is_that_of_its_raw_results(run: Any, jobs: dict[str, Jobs]) -> None:
    found = figures(run("03-network-week"))
    for job_type, results in jobs.items():
        assert found[job_type]["jobs"] == len(results)
        assert found[job_type]["orchestrators"] == len(by(results, "orchestrator"))
        assert found[job_type]["regions"] == len(by(results, "region"))
        assert found[job_type]["succeeded"] == sum(job["success_rate"] >= 1 for job in results)
        assert found[job_type]["median_round_trip_time"] == pytest.approx(typical(results), **close)
    for key, expected in (("scores", ranked(jobs["transcoding"])), ("ai scores", ranked(jobs["ai"], OFFICIAL))):
        assert found[key] == pytest.approx({name: own["score"] for name, own in expected.items()}, **close)


def test_the_report_on_an_orchestrator_is_that_of_its_raw_results(run: Any, jobs: dict[str, Jobs]) -> None:
    notebook = nbformat.read(PROJECT / "notebooks" / "02-orchestrator-report.ipynb", as_version=4)
    (cell,) = tagged(notebook, "parameters")
    orchestrator = next(line for line in cell.source.splitlines() if line.startswith("ORCHESTRATOR")).split('"')[1]
    found = figures(run("02-orchestrator-report"))
    all_scores = {"transcoding": ranked(jobs["transcoding"]), "ai": ranked(jobs["ai"], OFFICIAL)}
    errors = 0
    for job_type, expected in all_scores.items():
        own = [job for job in jobs[job_type] if job["orchestrator"] == orchestrator]
        errors += sum(max(error["count"], 1) for job in own for error in job["errors"])
        score = expected[orchestrator]["score"]
        below = sum(other["score"] < score for other in expected.values())
        summary = summed_up(own)
        names = ("events", "failed", "p50_round_trip_time", "p95_round_trip_time")
        assert found[job_type] == pytest.approx(
            expected[orchestrator]
            | {name: summary[name] for name in names}
            | {"regions": len(by(own, "region")), "rank": len(expected) - below, "ranked_count": len(expected)}
            | {"percentile": 100 * below / (len(expected) - 1)},
            **close,
        )
    assert found["errors"] == errors


def test_a_score_of_ones_own_is_what_its_formula_says(run: Any, jobs: dict[str, Jobs]) -> None:
    found = figures(run("04-your-own-score"))
    mine, theirs = ranked(jobs["ai"], (0.5, 0.5), at_median=0.5), ranked(jobs["ai"], OFFICIAL)
    assert found["scores"] == pytest.approx({name: own["score"] for name, own in mine.items()}, **close)
    assert found["service scores"] == pytest.approx({name: own["score"] for name, own in theirs.items()}, **close)
    assert 0 < found["correlation"] < 1


def test_other_weights_make_other_rankings(run: Any) -> None:
    assert (
        figures(run("04-your-own-score", SUCCESS_WEIGHT=1.0))["scores"] != figures(run("04-your-own-score"))["scores"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_window_without_events_is_no_error(run: Any, name: str) -> None:
    empty = run(name, SINCE="2020-01-01T00:00:00+00:00", UNTIL="2020-01-08T00:00:00+00:00")
    assert ": 0 jobs." in shown(empty)
    assert "NaN" not in shown(empty)


def test_an_orchestrator_without_events_is_no_error(run: Any) -> None:
    nobody = run("02-orchestrator-report", ORCHESTRATOR="0x" + "0" * 40)
    assert ": 0 jobs." in shown(nobody)
    assert figures(nobody) == {"errors": 0}


def test_a_model_without_events_is_no_error_and_those_that_have_some_are_shown(run: Any) -> None:
    found = run("01-reproduce-scores", MODEL="no/such-model")
    assert "No job with this pipeline and model succeeded in this window." in shown(found)
    assert "SG161222/RealVisXL_V4.0_Lightning" in shown(found)
    assert [float(last_value(cell)) < 1e-9 for cell in tagged(found, "difference")] == [True] * 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_kept_with_its_outputs_and_without_errors(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        ast.parse(cell.source)
        assert all(output.output_type not in ("error", "stream") for output in cell.outputs)
    assert "parameters" in cells[0].metadata.tags


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_small_and_shows_its_charts_anywhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    assert "image/svg+xml" in text
    assert "vega" not in text
    assert [part for part in PATHS if part in text] == []


def test_the_window_of_the_notebooks_is_a_week() -> None:
    assert (datetime.fromisoformat(UNTIL) - datetime.fromisoformat(SINCE)).days == 7
    for path in NOTEBOOKS[1:]:
        (cell,) = tagged(nbformat.read(path, as_version=4), "parameters")
        assert f'SINCE = "{SINCE}"\nUNTIL = "{UNTIL}"' in cell.source
