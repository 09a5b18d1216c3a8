"""The rules of the house that no import contract can hold."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.commands import PROJECT

MODULES = sorted(path for folder in ("leaderboard", "queries") for path in (PROJECT / folder).rglob("*.py"))
WRITERS = [
    f"leaderboard/{module}.py" for module in ("results/writer", "regions/registry", "postgres/migrations", "lake/prune")
]
VIEWS = sorted((PROJECT / "leaderboard" / "web" / "api").glob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def strings(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_environment_is_read_in_one_place(path: Path) -> None:
    reads = re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    assert not reads or name(path) == "leaderboard/settings.py"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_rows_are_written_in_few_places(path: Path) -> None:
    writes = [
        text for text in strings(path) if re.search(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM|COPY events)", text)
    ]
    assert not writes or name(path) in WRITERS


@pytest.mark.parametrize("path", VIEWS, ids=name)
def test_a_view_parses_calls_and_renders(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loops = (ast.For, ast.While, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.BinOp)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, loops)] == []
    assert [text for text in strings(path) if re.search(r"\b(SELECT|FROM|INSERT)\b", text)] == []


def test_the_app_factory_is_short() -> None:
    assert len((PROJECT / "leaderboard" / "app.py").read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_what_is_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]
    functions = [node for node in public if isinstance(node, ast.FunctionDef)]
    inner = {child for node in functions for child in ast.walk(node) if child is not node}
    assert [node.name for node in public if node not in inner and not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", [path for path in MODULES if "leaderboard" in name(path)], ids=name)
def test_the_service_imports_only_what_the_library_exports(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    inner = {module for module in imported if module.startswith("queries.")}
    assert inner <= {"queries.charts", "queries.concurrency", "queries.db", "queries.errors", "queries.times"}
