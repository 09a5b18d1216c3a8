"""Runs the notebooks and stores their outputs, so that the outputs match the cells.

``python -m tests.support.refresh_notebooks`` refreshes all notebooks, or those
that it names. They run over a week of a simulated network in a temporary
database. The stored parameters keep their default values.
"""

import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat

from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.reports import notebooks
from tests.support.commands import PROJECT, run_leaderboard

SIMULATION = ("100000", "--days", "14", "--until", "2026-09-01T00:00:00Z")
WEEK = {"SINCE": "2026-08-25T00:00:00Z", "UNTIL": "2026-09-01T00:00:00Z"}


def main() -> None:
    """Refreshes the notebooks that the command line names, or all."""
    names = sys.argv[1:] or notebooks.names()
    with TemporaryDirectory(prefix="notebooks-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        url = postgres.acquire()
        try:
            simulated = run_leaderboard("simulate", *SIMULATION, POSTGRES=url)
            if simulated.returncode:
                raise SystemExit(simulated.stderr)
            for name in names:
                print(name, file=sys.stderr)
                notebook = with_new_outputs(name, {"DATABASE": url} | WEEK)
                nbformat.write(notebook, PROJECT / "notebooks" / f"{name}{notebooks.SUFFIX}")
        finally:
            postgres.release()


def with_new_outputs(name: str, values: Mapping[str, str]) -> Any:
    """The notebook as it is stored, with the outputs of a run with these parameters."""
    stored = notebooks.load(name)
    executed = notebooks.run(deepcopy(stored), values)
    executed_cells = [cell for cell in executed.cells if notebooks.INJECTED_TAG not in cell.metadata.get("tags", ())]
    code_cells = [
        (cell, executed_cell)
        for cell, executed_cell in zip(stored.cells, executed_cells, strict=True)
        if cell.cell_type == "code"
    ]
    for number, (cell, executed_cell) in enumerate(code_cells, 1):
        cell.execution_count, cell.outputs = number, executed_cell.outputs
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return stored


if __name__ == "__main__":
    main()
