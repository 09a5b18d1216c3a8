"""The notebooks run from top to bottom against a live service, and their figures agree."""

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.http import PROJECT, Running, command

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def tagged(notebook: Any, tag: str) -> list[Any]:
    """The cells that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def with_parameters(notebook: Any, **values: str) -> Any:
    """The notebook with other values in its first code cell, as papermill sets them."""
    (cell,) = tagged(notebook, "parameters")
    cell.source += "\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return notebook


def last_value(cell: Any) -> str:
    (output,) = (output for output in cell.outputs if output.output_type == "execute_result")
    return output.data["text/plain"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_differences_are_none(path: Path, database: str) -> None:
    command("simulate", "20000", "--days", "31", "--until", "2026-09-01T00:00:00Z", POSTGRES=database)
    with Running({"POSTGRES": database}) as service:
        notebook = nbformat.read(path, as_version=4)
        with_parameters(notebook, DATABASE=database, SERVICE=f"http://127.0.0.1:{service.port}")
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(PROJECT)}}).execute()
    differences = [float(last_value(cell)) for cell in tagged(notebook, "difference")]
    assert differences
    assert max(differences) < 1e-9


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs_and_without_errors(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
            assert cell.execution_count
            assert all(output.output_type != "error" for output in cell.outputs)
