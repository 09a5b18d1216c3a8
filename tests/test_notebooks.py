"""The notebooks run from top to bottom, and their figures equal those of the service and of plain Python."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from leaderboard.reports import notebooks
from tests.conftest import clone, drop, rows
from tests.support.commands import PROJECT, run_leaderboard, run_python
from tests.support.plain_scores import (
    SCORE_FIELDS,
    SERVICE_WEIGHTS,
    TOLERANCE,
    Jobs,
    group_by,
    median_time,
    score_jobs,
    summarize,
    tell_apart,
    to_seconds,
)
from tests.support.service import RunningService

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
SINCE, UNTIL = "2026-08-25T00:00:00Z", "2026-09-01T00:00:00Z"
"""The week that the stored outputs show."""
MAX_NOTEBOOK_BYTES = 1_000_000
"""Code hosts show notebooks up to this size."""
PRIVATE_PATHS = (str(PROJECT), "/home/", "/root/", "/tmp/", "/Users/", "site-packages")


Run = Callable[..., Any]


def tagged(notebook: Any, tag: str) -> list[Any]:
    """The cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def last_value(cell: Any) -> str:
    (output,) = (output for output in cell.outputs if output.output_type == "execute_result")
    return output.data["text/plain"]


def all_outputs(notebook: Any) -> str:
    """The outputs of all cells as text."""
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
def service_url(service: RunningService) -> str:
    return f"http://127.0.0.1:{service.port}"


@pytest.fixture(scope="module")
def run(database: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a notebook over the week, once for each set of parameters."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    @cache
    def run(name: str, **values: Any) -> Any:
        with chdir(elsewhere):
            return notebooks.run(notebooks.load(name), {"DATABASE": database, "SINCE": SINCE, "UNTIL": UNTIL} | values)

    return run


@pytest.fixture(scope="module")
def jobs(database: str, service: RunningService) -> dict[str, Jobs]:
    """All results of the week by job type, as raw_stats returns them."""
    window = f"since={quote(SINCE)}&until={quote(UNTIL)}"
    found: dict[str, Jobs] = {"transcoding": [], "ai": []}
    for (orchestrator,) in rows(database, "SELECT DISTINCT orchestrator FROM events"):
        for job_type, results in found.items():
            path = f"/api/raw_stats?{window}&orchestrator={orchestrator}&job_type={job_type}&format=ndjson"
            lines = [json.loads(line) for line in service.get(path).body.decode().splitlines()]
            results += [json.loads(line["result"]) | {"at": to_seconds(line["event_time"])} for line in lines]
    return found


def figures(notebook: Any) -> dict[str, Any]:
    (cell,) = tagged(notebook, "figures")
    return ast.literal_eval(last_value(cell))


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_shows_charts(run: Run, name: str) -> None:
    outputs = [output for cell in run(name).cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if "image/svg+xml" in output.get("data", ())]
    assert [output.output_type for output in outputs if output.output_type in ("error", "stream")] == []


def differences(notebook: Any) -> list[float]:
    """The numbers of the sentences about differences."""
    texts = [cell.outputs[0].data["text/markdown"] for cell in tagged(notebook, "difference") if cell.outputs]
    return [float(re.search(r"\*\*(.*?)\*\*", text)[1]) for text in texts]


@pytest.mark.parametrize(("name", "comparisons"), [("01-reproduce-scores", 4), ("04-your-own-score", 1)])
def test_scores_by_hand_equal_those_of_the_functions(run: Run, name: str, comparisons: int) -> None:
    found = differences(run(name))
    assert len(found) == comparisons
    assert max(found) < 1e-9


def test_scores_of_a_service_are_compared_too(run: Run, service_url: str) -> None:
    found = differences(run("01-reproduce-scores", SERVICE=service_url))
    assert len(found) == 7
    assert max(found) < 1e-9


def test_error_of_the_service_names_url_status_and_reason(run: Run, service_url: str) -> None:
    with pytest.raises(notebooks.NotebookError) as failed:
        run("01-reproduce-scores", SERVICE=service_url, MODEL="")
    assert str(failed.value).startswith(f"RuntimeError: {service_url}/api/aggregated_stats?since=2026-08-25")
    assert str(failed.value).endswith(" responded with 400 BAD REQUEST: model required")


def test_unreachable_service_is_named(run: Run) -> None:
    with pytest.raises(notebooks.NotebookError, match=r"http://127\.0\.0\.1:1/api/.* cannot be reached: .*refused"):
        run("01-reproduce-scores", SERVICE="http://127.0.0.1:1/")


def notebook_of(source: str) -> Any:
    """A notebook without parameters that runs this code."""
    parameters = nbformat.v4.new_code_cell("X = 0", metadata={"tags": [notebooks.PARAMETERS_TAG]})
    return nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(source)])


def test_running_notebook_leaves_its_folder_alone(tmp_path: Path) -> None:
    with chdir(tmp_path):
        done = notebooks.run(notebook_of("import os; [os.getcwd(), *os.listdir()]"), {})
    assert ast.literal_eval(last_value(done.cells[-1])) == [str(tmp_path)]


def test_notebooks_that_run_at_once_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    # each waits until the other runs too
    cell = "open(f'{X}', 'w'); import os, time\nwhile len(os.listdir()) < 2: time.sleep(0.05)\nX"

    def run_in_process(number: int) -> str:
        code = (
            "from tests.test_notebooks import last_value, notebook_of, notebooks\n"
            f"print(last_value(notebooks.run(notebook_of({cell!r}), {{'X': {number}}}).cells[-1]))"
        )
        return run_python("-c", code, cwd=tmp_path, PYTHONPATH=str(PROJECT)).stdout

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run_in_process, (1, 2))) == ["1\n", "2\n"]


def heading(notebook: Any) -> str:
    """The sentence about the window and its jobs."""
    return next(
        output.data["text/markdown"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text/markdown" in output.get("data", {})
    )


def test_notebook_without_database_opens_what_the_settings_name(
    run: Run, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES", database)
    monkeypatch.setenv("LAKE_URL", str(tmp_path / "lake"))
    found = heading(run("03-network-week", DATABASE=None))
    assert found == heading(run("03-network-week"))
    assert "From 2026-08-25 00:00 to 2026-09-01 00:00" in found


def test_window_is_the_last_seven_days_by_default(database: str) -> None:
    before = datetime.now(UTC)
    found = heading(notebooks.run(notebooks.load("03-network-week"), {"DATABASE": database}))
    since, until = (
        datetime.fromisoformat(f"{moment}+00:00") for moment in re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", found)
    )
    assert until - since == timedelta(days=7)
    assert before - timedelta(minutes=1) <= until <= datetime.now(UTC)


def ranked(
    jobs: Jobs, weights: tuple[float, float] = SERVICE_WEIGHTS, at_median: float = 0.8
) -> dict[str, dict[str, float]]:
    """The scores of each orchestrator, from results of one job type that formula 2 scores."""
    is_ai = "pipeline" in jobs[0]
    job = ("pipeline", "model") if is_ai else ()
    medians = {key: median_time(group) for key, group in group_by(jobs, *job).items()}
    found = {}
    for (orchestrator,), own in group_by(jobs, "orchestrator").items():
        parts = []
        for region in group_by(own, "region").values():
            groups = group_by(region, *job).items()
            weighed = [
                (len(group), score_jobs(group, medians[key], is_ai, weights, at_median)) for key, group in groups
            ]
            parts.append({name: sum(n * part[name] for n, part in weighed) / len(region) for name in SCORE_FIELDS})
        found[orchestrator] = {name: sum(part[name] for part in parts) / len(parts) for name in SCORE_FIELDS}
    return found


def test_figures_of_the_network_equal_those_of_its_raw_results(run: Run, jobs: dict[str, Jobs]) -> None:
    found = figures(run("03-network-week"))
    for job_type, results in jobs.items():
        scored, unscored = tell_apart(results)
        expected = ranked(scored)
        counts = found[job_type]
        assert counts["orchestrators"] == len(group_by(scored + unscored, "orchestrator"))
        assert counts["regions"] == len(group_by(results, "region"))
        assert (counts["events"], counts["unscored"]) == (len(scored), len(unscored))
        assert counts["succeeded"] == sum(job["success_rate"] >= 1 for job in scored)
        assert counts["failed"] == sum(job["success_rate"] < 1 for job in scored)
        scores = {name: score for name, score in found["scores"][job_type].items() if score is not None}
        assert scores == pytest.approx({name: own["score"] for name, own in expected.items()}, **TOLERANCE)


def test_figures_of_an_orchestrator_equal_those_of_its_raw_results(run: Run, jobs: dict[str, Jobs]) -> None:
    orchestrator = notebooks.parameters(notebooks.load("02-orchestrator-report"))["ORCHESTRATOR"]
    found = figures(run("02-orchestrator-report"))
    errors = 0
    for job_type, results in jobs.items():
        errors += sum(
            max(e["count"], 1) for job in results if job["orchestrator"] == orchestrator for e in job["errors"]
        )
        scored, unscored = tell_apart(results)
        expected = ranked(scored)
        own = [job for job in scored if job["orchestrator"] == orchestrator]
        score = expected[orchestrator]["score"]
        below = sum(other["score"] < score for other in expected.values())
        summary = summarize(own)
        names = ("events", "failed", "p50_round_trip_time", "p95_round_trip_time")
        assert found[job_type] == pytest.approx(
            expected[orchestrator]
            | {name: summary[name] for name in names}
            | {"unscored": sum(job["orchestrator"] == orchestrator for job in unscored)}
            | {"regions": len(group_by(own, "region")), "rank": len(expected) - below, "ranked_count": len(expected)}
            | {"percentile": 100 * below / (len(expected) - 1)},
            **TOLERANCE,
        )
    assert found["errors"] == errors


def test_own_score_equals_its_formula(run: Run, jobs: dict[str, Jobs]) -> None:
    found = figures(run("04-your-own-score"))
    scored, _ = tell_apart(jobs["ai"])
    mine, theirs = ranked(scored, (0.5, 0.5), at_median=0.5), ranked(scored)
    assert found["scores"] == pytest.approx({name: own["score"] for name, own in mine.items()}, **TOLERANCE)
    assert found["service scores"] == pytest.approx({name: own["score"] for name, own in theirs.items()}, **TOLERANCE)
    assert 0 < found["correlation"] < 1


def test_incidents_equal_those_of_the_service(run: Run, service: RunningService) -> None:
    # one week of so few results has none
    since = "2026-08-11T00:00:00Z"
    found = figures(run("05-incidents", SINCE=since))["incidents"]
    expected = service.get(f"/api/incidents?since={quote(since)}&until={quote(UNTIL)}").json["incidents"]
    assert found == [(row["region"], row["job_type"], row["kind"]) for row in expected]
    assert found


def test_other_weights_change_the_scores(run: Run) -> None:
    assert (
        figures(run("04-your-own-score", SUCCESS_WEIGHT=1.0))["scores"] != figures(run("04-your-own-score"))["scores"]
    )


@pytest.mark.parametrize("name", ["02-orchestrator-report", "03-network-week", "04-your-own-score"])
def test_notebook_scores_by_the_given_formula(run: Run, name: str) -> None:
    assert figures(run(name, FORMULA=1)) != figures(run(name))


@pytest.mark.parametrize("name", NAMES)
def test_window_without_events_is_no_error(run: Run, name: str) -> None:
    empty = run(name, SINCE="2020-01-01T00:00:00+00:00", UNTIL="2020-01-08T00:00:00+00:00")
    assert ": 0 jobs." in all_outputs(empty)
    assert "NaN" not in all_outputs(empty)


def test_orchestrator_without_events_is_no_error(run: Run) -> None:
    notebook = run("02-orchestrator-report", ORCHESTRATOR="0x" + "0" * 40)
    assert ": 0 jobs." in all_outputs(notebook)
    assert figures(notebook) == {"errors": 0}


def test_model_without_events_is_no_error_and_other_models_are_listed(run: Run) -> None:
    found = run("01-reproduce-scores", MODEL="no/such-model")
    assert "No job with this pipeline and model succeeded in this window." in all_outputs(found)
    assert "SG161222/RealVisXL_V4.0_Lightning" in all_outputs(found)
    assert [difference < 1e-9 for difference in differences(found)] == [True] * 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_notebook_has_outputs_and_no_errors(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        ast.parse(cell.source)
        assert all(output.output_type not in ("error", "stream") for output in cell.outputs)
    assert "parameters" in cells[0].metadata.tags


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_notebook_is_small_and_has_charts_as_pictures(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_NOTEBOOK_BYTES
    assert "image/svg+xml" in text
    assert "vega" not in text
    assert [part for part in PRIVATE_PATHS if part in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_stored_outputs_show_the_same_week(path: Path) -> None:
    assert "from 2026-08-25 00:00 to 2026-09-01 00:00" in heading(nbformat.read(path, as_version=4)).lower()
