"""Runs the notebooks and keeps what they show, so that it goes with their sources.

``python -m tests.support.refresh_notebooks`` does all of them, or those that are named,
over a simulated network in a database of its own and a service over it. What
is kept tells of neither: the notebooks' own parameters stay as they are.
"""

import sys
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat

from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.reports import notebooks
from tests.support.commands import PROJECT, run_leaderboard
from tests.support.service import RunningService

NETWORK = ("100000", "--days", "31", "--until", "2026-09-01T00:00:00Z")


def main() -> None:
    """Refreshes the notebooks that the command line names, or all."""
    names = sys.argv[1:] or notebooks.names()
    with TemporaryDirectory(prefix="notebooks-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        url = postgres.acquire()
        try:
            done = run_leaderboard("simulate", *NETWORK, POSTGRES=url)
            if done.returncode:
                raise SystemExit(done.stderr)
            with RunningService({"POSTGRES": url}) as service:
                given = {"DATABASE": url, "SERVICE": f"http://127.0.0.1:{service.port}"}
                for name in names:
                    print(name, file=sys.stderr)
                    nbformat.write(refreshed(name, given), PROJECT / "notebooks" / f"{name}{notebooks.SUFFIX}")
        finally:
            postgres.release()


def refreshed(name: str, given: dict[str, str]) -> Any:
    """The notebook of this name with the outputs of a run with these values, and else as it was."""
    kept = notebooks.load(name)
    made = notebooks.run(deepcopy(kept), {key: given[key] for key in given if key in notebooks.parameters(kept)})
    shown = [cell for cell in made.cells if notebooks.INJECTED_TAG not in cell.metadata.get("tags", ())]
    code = [(old, new) for old, new in zip(kept.cells, shown, strict=True) if old.cell_type == "code"]
    for number, (old, new) in enumerate(code, 1):
        old.execution_count, old.outputs = number, new.outputs
        for output in old.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return kept


if __name__ == "__main__":
    main()
