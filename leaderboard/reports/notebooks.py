"""Finds the project's notebooks, and runs them with given parameters.

``load`` and ``run`` need the extra ``notebooks``; ``missing_packages`` looks for
it. Papermill would run notebooks over ipc too, but it writes the parameters, a
database's password among them, into the notebook's metadata, and it needs five
more packages to save the few lines here that insert one cell.
"""

import ast
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

EXTRA_MODULES = ("altair", "ipykernel", "nbclient", "nbconvert", "nbformat", "vl_convert")
"""The modules that the extra ``notebooks`` installs."""
INSTALL_COMMANDS = (
    "pip install 'orchestrator-leaderboard[notebooks]', or in a checkout of the project pip install -e '.[notebooks]'"
)
PARAMETERS_TAG, INJECTED_TAG = "parameters", "injected-parameters"
"""The tags of the cell with the default parameters and of the cell with the given ones, as papermill names them."""
NO_REPORT_TAG = "no-report"
"""The tag of a cell that helps readers of the notebook but not readers of a report."""
SUFFIX = ".ipynb"
MAX_SECONDS_TO_START = 300
RETRYABLE_ERRORS = ("StoreUnavailable", "StoreTimeout")
"""Exceptions after which the same notebook may succeed later."""


class NotebookError(Exception):
    """A cell of a notebook failed. ``retryable`` says whether the same run may succeed later."""

    def __init__(self, error_name: str, message: str) -> None:
        super().__init__(" ".join(f"{error_name}: {message}".split()) if message else error_name)
        self.retryable = error_name in RETRYABLE_ERRORS


def missing_packages() -> list[str]:
    """The modules of the extra that are not installed."""
    return [name for name in EXTRA_MODULES if find_spec(name) is None]


def names() -> list[str]:
    """The names of all notebooks, in order. Empty if the package was installed without them."""
    folder = _notebooks_folder()
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry.name.removesuffix(SUFFIX) for entry in entries if entry.name.endswith(SUFFIX))


def load(name: str) -> "NotebookNode":
    """Reads the notebook with this name."""
    import nbformat

    notebook: NotebookNode = nbformat.reads(read(name), as_version=4)
    return notebook


def read(name: str) -> str:
    """The file of the notebook with this name, as it is."""
    return (_notebooks_folder() / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def parameters(notebook: "NotebookNode") -> dict[str, Any]:
    """The notebook's parameters with their default values.

    They are the names to which the cell tagged PARAMETERS_TAG assigns a
    constant, a list or a tuple.
    """
    statements = ast.parse(notebook.cells[_parameters_index(notebook)].source).body
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.value, (ast.Constant, ast.List, ast.Tuple))
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def run(notebook: "NotebookNode", values: Mapping[str, Any]) -> "NotebookNode":
    """Runs the notebook with these parameters, and returns it with the outputs of its cells.

    Raises NotebookError, which names the failing cell's exception.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbformat.v4 import new_code_cell
    from traitlets.config import Config

    assignments = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    injected = new_code_cell(assignments, metadata={"tags": [INJECTED_TAG]})
    notebook.cells.insert(_parameters_index(notebook) + 1, injected)
    with TemporaryDirectory(prefix="leaderboard-notebook-") as folder:
        # the values include the database's password: over ipc they pass through sockets in a folder that only this
        # user can open; without an ip the sockets of all notebooks of one working folder had the same names
        config = Config(
            KernelManager={"transport": "ipc", "ip": f"{folder}/kernel", "connection_file": f"{folder}/kernel.json"}
        )
        # no limit per cell: each source of events limits its own reads; a busy machine starts a process slowly
        options: dict[str, Any] = {
            "timeout": None,
            "startup_timeout": MAX_SECONDS_TO_START,
            "config": config,
            "resources": {"metadata": {"path": str(Path.cwd())}},
        }
        try:
            return NotebookClient(notebook, **options).execute()
        except CellExecutionError as error:
            raise NotebookError(error.ename, error.evalue) from None
        except DeadKernelError:
            raise NotebookError("the notebook's process ended", "") from None


def _parameters_index(notebook: "NotebookNode") -> int:
    return next(index for index, cell in enumerate(notebook.cells) if PARAMETERS_TAG in cell.metadata.get("tags", ()))


def _notebooks_folder() -> Traversable:
    """The folder of the notebooks: inside an installed package, beside the package in a checkout."""
    package = files("leaderboard")
    installed = package / "notebooks"
    return installed if installed.is_dir() else package / ".." / "notebooks"
