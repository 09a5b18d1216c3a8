"""Rules of the code that no linter and no import contract can check."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.commands import PROJECT

MAX_MODULES_PER_PACKAGE = 15
MAX_FUNCTION_LINES = 50
"""Lines of a function without its docstring."""
MAX_APP_FACTORY_LINES = 60

PACKAGES = ("leaderboard", "queries")
MODULES = sorted(path for folder in PACKAGES for path in (PROJECT / folder).rglob("*.py"))
ALL_MODULES = sorted([*MODULES, *(PROJECT / "benchmarks").rglob("*.py")])
VIEWS = sorted((PROJECT / "leaderboard" / "web" / "api").glob("*.py"))
MODULES_THAT_READ_THE_ENVIRONMENT = {"leaderboard/settings.py"}
MODULES_THAT_WRITE_ROWS = {
    f"leaderboard/{module}.py"
    for module in (
        "results/event_table",
        "regions/region_table",
        "regions/refused_table",
        "exclusions/exclusion_table",
        "postgres/golang_migrate",
        "lake/prune",
        "lake/registry",
    )
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


@cache
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


def undocumented_names(path: Path) -> list[str]:
    tree = parse(path)
    inner = {child for function in functions(path) for child in ast.walk(function) if child is not function}
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and node not in inner
    ]
    names = [node.name for node in public if not ast.get_docstring(node)]
    return names if ast.get_docstring(tree) else ["the module", *names]


def library_imports(path: Path) -> set[str]:
    imports = [node for node in ast.walk(parse(path)) if isinstance(node, ast.ImportFrom)]
    return {node.module for node in imports if node.module and node.module.startswith("queries.")}


def offenders(paths: list[Path], find: Callable[[Path], list[Any]]) -> dict[str, list[Any]]:
    """By module, what the function finds in it; modules without a finding are left out."""
    return {module_name(path): found for path in paths if (found := find(path))}


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


def test_functions_are_short() -> None:
    long = {
        f"{module_name(path)}:{function.name}": lines
        for path in ALL_MODULES
        for function in functions(path)
        if (lines := code_lines(function)) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_names_are_no_riddles() -> None:
    assert offenders(ALL_MODULES, lambda path: sorted(filter(RIDDLES.fullmatch, set(given_names(path))))) == {}


def test_few_modules_read_the_environment() -> None:
    reads = offenders(MODULES, lambda path: re.findall(r"\bos\.(?:environ|getenv)\b", path.read_text(encoding="utf-8")))
    assert set(reads) == MODULES_THAT_READ_THE_ENVIRONMENT


def test_few_modules_write_rows() -> None:
    writes = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM|COPY events)")
    writers = offenders(MODULES, lambda path: list(filter(writes.search, strings(path))))
    assert set(writers) == MODULES_THAT_WRITE_ROWS


def test_views_parse_call_and_render() -> None:
    loops = (ast.For, ast.While, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.BinOp)
    assert (
        offenders(VIEWS, lambda path: [node.lineno for node in ast.walk(parse(path)) if isinstance(node, loops)]) == {}
    )
    sql = re.compile(r"\b(SELECT|FROM|INSERT)\b")
    assert offenders(VIEWS, lambda path: list(filter(sql.search, strings(path)))) == {}


def test_the_app_factory_is_short() -> None:
    lines = (PROJECT / "leaderboard" / "app.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_APP_FACTORY_LINES


def test_modules_and_public_names_have_docstrings() -> None:
    assert offenders(ALL_MODULES, undocumented_names) == {}


def test_the_service_imports_only_what_the_library_exports() -> None:
    service = [path for path in MODULES if path.is_relative_to(PROJECT / "leaderboard")]
    assert offenders(service, lambda path: sorted(library_imports(path) - LIBRARY_INTERFACES)) == {}
