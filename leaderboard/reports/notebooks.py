"""The notebooks: where they are, what they take, and running them.

``load`` and ``run`` need the extra ``notebooks``, which ``missing`` looks for.
"""

import ast
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

EXTRA = "notebooks"
PACKAGES = ("altair", "ipykernel", "nbclient", "nbconvert", "nbformat", "vl_convert")
"""The modules that the extra brings."""
PARAMETERS, GIVEN = "parameters", "injected-parameters"
"""The tags of the cell with the parameters, and of the one after it with what was given, as papermill has them."""
NO_REPORT = "no-report"
"""The tag of a cell that is for whoever has the notebook, and not for the readers of a page."""
SUFFIX = ".ipynb"
AWAY = ("StoreUnavailable", "StoreTimeout")
"""The exceptions that tell that the same may work later."""


class NotebookFailed(Exception):
    """A cell of a notebook failed; ``later`` tells whether the same may work later."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(" ".join(f"{name}: {message}".split()) if message else name)
        self.later = name in AWAY


def missing() -> list[str]:
    """The modules of the extra that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def names() -> list[str]:
    """The names of all notebooks, in order; none where the service was installed without them."""
    folder = _folder()
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(file.name.removesuffix(SUFFIX) for file in found if file.name.endswith(SUFFIX))


def load(name: str) -> "NotebookNode":
    """The notebook of this name."""
    import nbformat

    return nbformat.reads((_folder() / f"{name}{SUFFIX}").read_text(encoding="utf-8"), as_version=4)


def parameters(notebook: "NotebookNode") -> dict[str, Any]:
    """The names that its cell of parameters gives plain values to, with these."""
    statements = ast.parse(notebook.cells[_place(notebook)].source).body
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.value, (ast.Constant, ast.List, ast.Tuple))
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def run(notebook: "NotebookNode", given: Mapping[str, Any]) -> "NotebookNode":
    """The notebook with the outputs of its cells, after these values took the place of its parameters'.

    Raises NotebookFailed.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbformat.v4 import new_code_cell
    from traitlets.config import Config

    lines = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    notebook.cells.insert(_place(notebook) + 1, new_code_cell(lines, metadata={"tags": [GIVEN]}))
    # over sockets in a folder of this user's, as the database's password is among the values
    config = Config(KernelManager={"transport": "ipc"})
    # what a notebook reads is waited for as long as its source does
    client = NotebookClient(notebook, timeout=None, config=config, resources={"metadata": {"path": str(Path.cwd())}})
    try:
        return client.execute()
    except CellExecutionError as error:
        raise NotebookFailed(error.ename, error.evalue) from None
    except DeadKernelError:
        raise NotebookFailed("the notebook's process ended", "") from None


def _place(notebook: "NotebookNode") -> int:
    return next(number for number, cell in enumerate(notebook.cells) if PARAMETERS in cell.metadata.get("tags", ()))


def _folder() -> Traversable:
    """The project's notebooks: inside the package where it is installed, beside it in a checkout."""
    package = files("leaderboard")
    installed = package / "notebooks"
    return installed if installed.is_dir() else package / ".." / "notebooks"
