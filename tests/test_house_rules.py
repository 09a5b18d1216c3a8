"""Rules of the code that no linter and no import contract can check."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.commands import PROJECT

MAX_MODULES_PER_PACKAGE = 15
MAX_FUNCTION_LINES = 50
"""Lines of a function without its docstring."""
MAX_APP_FACTORY_LINES = 60

PACKAGES = ("leaderboard", "queries")
MODULES = sorted(path for folder in PACKAGES for path in (PROJECT / folder).rglob("*.py"))
ALL_MODULES = sorted([*MODULES, *(PROJECT / "benchmarks").rglob("*.py")])
VIEWS = sorted((PROJECT / "leaderboard" / "web" / "api").glob("*.py"))
SETTINGS_MODULE = "leaderboard/settings.py"
MODULES_THAT_WRITE_ROWS = {
    f"leaderboard/{module}.py"
    for module in ("results/writer", "regions/registry", "postgres/golang_migrate", "lake/prune")
}
LIBRARY_INTERFACES = {"queries.charts", "queries.concurrency", "queries.db", "queries.errors", "queries.times"}
# each has a plain name by now, or several meanings
RIDDLES = re.compile(
    r"(MOST|LARGEST|LONGEST)_\w+|PIECE|LONG|REST|SOON|GRACE|JOB|EVERY|BY"
    r"|Query|Horizon|Held|StoredEvents|GatheredCall|SharedCall|LakeKeeper"
    r"|look|packed|shrunk|with_piece|numbered|remembered|of_jobs|within|_?anew|_?alone|_?away|nobody"
    r"|_continues|_forget|_meaning|_tell_of|up_to|goal|edge|wanted"
)


def module_name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def strings(path: Path) -> list[str]:
    return [
        node.value for node in ast.walk(parse(path)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef)]


def given_names(path: Path) -> Iterator[str]:
    """The names that a module gives to classes, functions, parameters, variables and attributes."""
    for node in ast.walk(parse(path)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def code_lines(function: ast.FunctionDef) -> int:
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def test_a_package_has_about_a_dozen_modules() -> None:
    sizes = Counter(module_name(path.parent) for path in ALL_MODULES if not path.name.startswith("_"))
    assert {package: size for package, size in sizes.items() if size > MAX_MODULES_PER_PACKAGE} == {}


def test_every_package_is_installed() -> None:
    config = ConfigParser()
    config.read(PROJECT / "setup.cfg", encoding="utf-8")
    installed = set(config["options"]["packages"].split())
    assert {module_name(path.parent).replace("/", ".") for path in MODULES} <= installed


def test_only_packages_of_the_project_are_installed() -> None:
    config = ConfigParser()
    config.read(PROJECT / "setup.cfg", encoding="utf-8")
    assert {package.partition(".")[0] for package in config["options"]["packages"].split()} == set(PACKAGES)
    assert "py_modules" not in config["options"]


@pytest.mark.parametrize("path", ALL_MODULES, ids=module_name)
def test_functions_are_short(path: Path) -> None:
    long = {function.name: code_lines(function) for function in functions(path)}
    assert {name: lines for name, lines in long.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", ALL_MODULES, ids=module_name)
def test_names_are_no_riddles(path: Path) -> None:
    assert sorted({name for name in given_names(path) if RIDDLES.fullmatch(name)}) == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_settings_alone_read_the_environment(path: Path) -> None:
    reads = re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    assert not reads or module_name(path) == SETTINGS_MODULE


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_few_modules_write_rows(path: Path) -> None:
    writes = [
        text for text in strings(path) if re.search(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM|COPY events)", text)
    ]
    assert not writes or module_name(path) in MODULES_THAT_WRITE_ROWS


@pytest.mark.parametrize("path", VIEWS, ids=module_name)
def test_a_view_parses_calls_and_renders(path: Path) -> None:
    loops = (ast.For, ast.While, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.BinOp)
    assert [node.lineno for node in ast.walk(parse(path)) if isinstance(node, loops)] == []
    assert [text for text in strings(path) if re.search(r"\b(SELECT|FROM|INSERT)\b", text)] == []


def test_the_app_factory_is_short() -> None:
    lines = (PROJECT / "leaderboard" / "app.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_APP_FACTORY_LINES


@pytest.mark.parametrize("path", ALL_MODULES, ids=module_name)
def test_public_names_have_docstrings(path: Path) -> None:
    tree = parse(path)
    assert ast.get_docstring(tree) or path.read_text(encoding="utf-8") == ""
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]
    inner = {child for node in functions(path) for child in ast.walk(node) if child is not node}
    inner_names = {node.name for node in inner if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    undocumented = [node.name for node in public if not ast.get_docstring(node)]
    assert [name for name in undocumented if name not in inner_names] == []


@pytest.mark.parametrize("path", [path for path in MODULES if "leaderboard" in module_name(path)], ids=module_name)
def test_the_service_imports_only_what_the_library_exports(path: Path) -> None:
    imported = {node.module for node in ast.walk(parse(path)) if isinstance(node, ast.ImportFrom) and node.module}
    inner = {module for module in imported if module.startswith("queries.")}
    assert inner <= LIBRARY_INTERFACES
