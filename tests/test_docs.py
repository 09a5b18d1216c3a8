"""The pages say what is true: links lead somewhere, commands exist, examples run, tables are current."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from math import exp
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import click
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.serving import make_server

from docs import generate, parameters, picture
from leaderboard.app import create_app
from leaderboard.cli import main
from leaderboard.lake.background import KEEP_HOURS
from leaderboard.lake.sync import sync
from leaderboard.reports import notebooks
from leaderboard.results.auth import sign
from leaderboard.results.batches import MAX_BATCH_BYTES, MAX_BATCH_RESULTS
from leaderboard.results.validation import MAX_RESULT_BYTES
from leaderboard.settings import Settings, describe_settings
from leaderboard.storage.table_formats import FIXED_LAYOUT_DECIMALS
from leaderboard.web.rendering import MAX_HISTORY_ROWS
from queries import FORMULA_2, FORMULAS, PostgresEvents, charts, ranking
from tests.conftest import clone, load_events, rows
from tests.support.commands import PROJECT
from tests.support.documented_results import DOCUMENTED_EXCLUSION, FIRST, documented_results
from tests.support.documents import PAGES, blocks, examples, headings, links, name

SCORES = (PROJECT / "docs" / "scores.md").read_text(encoding="utf-8")
README = (PROJECT / "README.md").read_text(encoding="utf-8")
HTTP_API = (PROJECT / "docs" / "http-api.md").read_text(encoding="utf-8")
NOTEBOOKS = (PROJECT / "docs" / "notebooks.md").read_text(encoding="utf-8")
MAX_PICTURE_BYTES = 150_000
SOURCES = ("leaderboard", "queries", "tests", "docs", "benchmarks")
PYTHON = [(name(page), block) for page in PAGES for block in blocks(page.read_text(encoding="utf-8"), "python")]
SHELL = [block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"), "sh")]


@pytest.fixture(scope="module")
def documented_database(server: str, template: str) -> str:
    """The URL of a database with the results of the examples. For reading."""
    url = clone(server, template, "documented")
    load_events(url, documented_results())
    rows(url, DOCUMENTED_EXCLUSION)
    return url


@pytest.fixture(scope="module")
def documented_app(documented_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The service over that database, and a lake with all of it."""
    lake = tmp_path_factory.mktemp("lake")
    postgres = PostgresEvents(documented_database)
    sync(postgres, str(lake), lambda *_: None)
    postgres.close()
    app = create_app(Settings(lake_sync_interval=0, postgres=documented_database, lake_url=str(lake)))
    yield app
    app.extensions["leaderboard"].close()


@pytest.fixture(scope="module")
def documented_client(documented_app: Flask) -> FlaskClient:
    return documented_app.test_client()


@pytest.fixture(scope="module")
def documented_service(documented_app: Flask) -> Iterator[str]:
    """The URL of that service."""
    service = make_server("127.0.0.1", 0, documented_app, threaded=True)
    thread = Thread(target=service.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{service.server_port}"
    service.shutdown()
    thread.join()
    service.server_close()


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate.generate(text) == text, "run python -m docs.generate"


def test_every_generated_part_is_on_a_page() -> None:
    used = {part for page in PAGES for part in re.findall("<!-- generated: (.*) -->", page.read_text(encoding="utf-8"))}
    assert used == set(generate.PARTS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_modules_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"`((?:[\w-]+/)*\w+\.py)`", text)
    modules = re.findall(r"`((?:queries|leaderboard)(?:\.\w+)+)`", text)
    known = {f"/{path.relative_to(PROJECT)}" for folder in SOURCES for path in (PROJECT / folder).rglob("*.py")}
    assert [file for file in files if not any(path.endswith(f"/{file}") for path in known)] == []
    assert [module for module in modules if find_spec(module) is None] == []


def test_every_page_is_in_the_index() -> None:
    index = PROJECT / "docs" / "README.md"
    listed = {(index.parent / path).resolve() for path, _ in links(index)}
    assert listed >= set(PAGES) - {index, PROJECT / "README.md"}


def _commands(block: str) -> Iterator[list[str]]:
    """The words of each command of the virtual environment that a block of shell runs."""
    lexer = shlex.shlex(re.sub(r"\s+# .*", "", block), posix=True, punctuation_chars=";&|<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    for word in [*lexer, "\n"]:
        if not set(word) <= set(";&|<>\n"):
            words.append(word)
            continue
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words and words[0].startswith(".venv/bin/"):
            yield [words[0].removeprefix(".venv/bin/"), *words[1:]]
        words = []


COMMANDS = [words for block in SHELL for words in _commands(block)]
DEVELOPER_TOOLS = {"pre-commit"}
"""Programs of the extra dev, which the tests do not need."""
LEADERBOARD = [words[1:] for words in COMMANDS if words[0] == "leaderboard"]


@pytest.mark.parametrize("arguments", LEADERBOARD, ids=shlex.join)
def test_every_command_exists_with_its_options(arguments: list[str]) -> None:
    words = list(arguments)
    command: click.Command = main
    with click.Context(main) as context:
        while words and isinstance(command, click.Group):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
    assert not isinstance(command, click.Group)
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= options


def test_variables_before_commands_are_settings() -> None:
    given = {name for block in SHELL for name in re.findall(r"(?<!\w)([A-Z][A-Z_]+)=\S+ (?=.*\.venv/bin/)", block)}
    assert {"SECRET", "POSTGRES"} <= given
    assert given <= {name for name, _, _ in describe_settings()}


def test_the_pages_show_every_command() -> None:
    assert {arguments[0] for arguments in LEADERBOARD} == set(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("program", sorted({words[0] for words in COMMANDS} - DEVELOPER_TOOLS))
def test_every_program_is_installed(program: str) -> None:
    assert Path(sys.executable).with_name(program).exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([\w-]+)`", "".join(p.read_text() for p in PAGES)))))
def test_every_target_of_make_exists(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_to_run_and_to_test_are_one_line_each() -> None:
    assert len(re.findall(r"^python3 -m venv .*leaderboard serve$", README, re.MULTILINE)) == 1
    assert len(re.findall(r"^python3 -m venv .*pytest$", README, re.MULTILINE)) == 1


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_every_endpoint_has_a_section(documented_app: Flask) -> None:
    rules = [rule for rule in documented_app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    sections = {
        f"{'POST' if 'POST' in rule.methods else 'GET'} {rule.rule.replace('<address>', '0x…')}" for rule in rules
    }
    assert sections == set(re.findall(r"^## ((?:GET|POST) /.*)$", HTTP_API, re.MULTILINE))


class RecordedArguments(ImmutableMultiDict[str, str]):
    """Query parameters that note which of them were asked for."""

    asked: ClassVar[set[str]] = set()

    def get(self, key: str, *args: Any, **options: Any) -> Any:
        self.asked.add(key)
        return super().get(key, *args, **options)

    def getlist(self, key: str, *args: Any, **options: Any) -> Any:
        self.asked.add(key)
        return super().getlist(key, *args, **options)


@pytest.mark.parametrize("endpoint", parameters.PARAMETERS)
def test_the_parameters_of_an_endpoint_are_those_that_it_reads(
    endpoint: str, documented_app: Flask, documented_client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documented_app.request_class, "parameter_storage_class", RecordedArguments)
    monkeypatch.setattr(RecordedArguments, "asked", set())
    path = endpoint.replace("0x…", FIRST) if "0x…" in endpoint else f"{endpoint}?orchestrator={FIRST}&region=FRA"
    assert documented_client.get(path).status_code == 200
    documented = {parameter.name for parameter in parameters.PARAMETERS[endpoint]}
    assert RecordedArguments.asked == documented


def _rounded(value: Any) -> Any:
    """An answer as the pages show it: numbers with four decimals."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


EXAMPLES = list(examples(HTTP_API))


@pytest.mark.parametrize(("path", "shown"), EXAMPLES, ids=[path for path, _ in EXAMPLES])
def test_example_answers_are_those_of_the_service(path: str, shown: str, documented_client: FlaskClient) -> None:
    answer, expected = _rounded(documented_client.get(path).json), json.loads(shown)
    if "next_cursor" in expected:
        # it is opaque, and cut short on the page
        expected["next_cursor"] = answer["next_cursor"]
    assert answer == expected


def test_most_endpoints_have_an_example_with_its_answer() -> None:
    shown = {re.sub("0x[0-9a-f]*", "0x…", path.partition("?")[0]) for path, _ in EXAMPLES}
    # the answers of these are too long, or depend on the time of day
    assert set(parameters.PARAMETERS) - shown == {"/api/top_ai_score", "/api/gateway_preview"}


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[f"{page}-{number}" for number, (page, _) in enumerate(PYTHON)])
def test_python_examples_run(
    page: str,
    code: str,
    documented_app: Flask,
    documented_database: str,
    documented_service: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "pyspark" in code:
        pytest.importorskip("pyspark")
    monkeypatch.chdir(tmp_path)
    settings: Settings = documented_app.extensions["leaderboard"].settings
    # what open_events() opens
    monkeypatch.setenv("POSTGRES", documented_database)
    monkeypatch.setenv("LAKE_URL", settings.lake)
    for shown, real in (
        ('"postgresql://user@host/leaderboard"', repr(documented_database)),
        ("s3://bucket/lake", settings.lake),
        ("/var/lib/leaderboard/lake", settings.lake),
        ("http://localhost:8080", documented_service),
        ("datetime.now(UTC)", "datetime(2026, 9, 2, tzinfo=UTC)"),
    ):
        code = code.replace(shown, real)
    names: dict[str, Any] = {}
    try:
        exec(compile(code, page, "exec"), names)
    finally:
        for opened in names.keys() & {"events", "connection"}:
            names[opened].close()


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("http-api", f"numbers have {FIXED_LAYOUT_DECIMALS} decimals"),
        ("http-api", f"An answer has at most {MAX_HISTORY_ROWS:,} rows"),
        ("http-api", f"a JSON object of at most {MAX_RESULT_BYTES >> 20} MiB"),
        ("http-api", f"at most {MAX_BATCH_RESULTS:,} results and {MAX_BATCH_BYTES >> 20} MiB"),
        ("lake", f"deletes replaced files after {KEEP_HOURS} hours"),
    ],
)
def test_limits_on_the_pages_are_those_of_the_code(page: str, sentence: str) -> None:
    text = (PROJECT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert sentence in " ".join(text.split())


def test_the_picture_is_drawn_from_simulated_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = picture.PICTURE.read_text(encoding="utf-8")
    monkeypatch.setattr(picture, "PICTURE", tmp_path / "ranking.svg")
    picture.main()
    best = ranking(picture.simulated_events())["orchestrator"][0]
    for svg in (stored, picture.PICTURE.read_text(encoding="utf-8")):
        assert f"{best[:8]}…{best[-4:]}" in svg
        assert len(svg.encode()) < 60_000


def test_each_picture_is_small_and_shown_somewhere() -> None:
    pictures = sorted((PROJECT / "docs" / "images").iterdir())
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in pictures if f"images/{path.name}" not in text] == []
    assert [path.name for path in pictures if path.stat().st_size > MAX_PICTURE_BYTES] == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_openssl_signs_as_testers_do(tmp_path: Path) -> None:
    (line,) = [line for block in SHELL for line in block.splitlines() if line.startswith("signature=")]
    (tmp_path / "result.json").write_bytes(b'{"region": "FRA"}')
    done = subprocess.run(["sh", "-c", f"{line}; printf %s $signature"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode() == sign("my-secret-key", b'{"region": "FRA"}')


@pytest.mark.parametrize("notebook", notebooks.names())
def test_every_notebook_is_described(notebook: str) -> None:
    assert f"| `{notebook}` | " in NOTEBOOKS


@pytest.mark.parametrize("chart", charts.__all__)
def test_every_chart_is_described(chart: str) -> None:
    assert f"| `{chart}` | " in NOTEBOOKS or f"`{chart}()`" in NOTEBOOKS


def test_page_of_scores_names_scores_that_the_formula_gives() -> None:
    median, success, speed = FORMULA_2.score_at_median, FORMULA_2.success_weight, FORMULA_2.round_trip_weight
    for sentence in (
        f"(t = d) has a round_trip_score of {1 - exp(-1):.2f}. One that takes a third of it has {1 - exp(-3):.2f}.",
        f"round_trip_score of {median:g}; at twice the median it is {median**2:.2f}, at half {median**0.5:.2f}.",
        f"Success weighs {success:.0%}, speed {speed:.0%}.".replace("%", " %"),
        f"quality 0.9 that never fails scores {success + speed * 0.9:g}, one of quality 0.3 scores "
        f"{success + speed * 0.3:g}.",
        f"`FORMULA`](configuration.md), {FORMULA_2.name} by default",
    ):
        assert sentence in " ".join(SCORES.split())


def test_page_of_scores_explains_every_value_of_a_formula() -> None:
    for formula in FORMULAS.values():
        assert [name for name in formula.as_dict() if name != "name" and f"| `{name}` |" not in SCORES] == []
