"""Reports from the command line: notebooks as pages that need nothing beside them."""

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leaderboard.reports import notebooks
from queries import sample_data
from tests.conftest import clone, drop, rows
from tests.support.commands import PROJECT, environment, run_leaderboard

pytestmark = pytest.mark.slow

WEEK = ("--since", "2026-08-25T00:00:00Z", "--until", "2026-09-01T00:00:00Z")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def database(server: str, template: str) -> Iterator[str]:
    """A database with 2,000 results of a week. For reading."""
    url = clone(server, template, "reports")
    done = run_leaderboard("simulate", "2000", "--days", "7", "--until", "2026-09-01T00:00:00Z", POSTGRES=url)
    assert done.returncode == 0, done.stderr
    yield url
    drop(server, "reports")


@pytest.fixture
def run(database: str) -> Run:
    """Runs ``leaderboard report`` over the database."""
    return lambda *arguments, **variables: run_leaderboard("report", *arguments, **{"POSTGRES": database} | variables)


@pytest.fixture(scope="module")
def page(database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on the orchestrator with most results."""
    statement = "SELECT orchestrator FROM events GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    ((orchestrator,),) = rows(database, statement)
    to = tmp_path_factory.mktemp("report") / "new" / "report.html"
    arguments = ("02-orchestrator-report", "--orchestrator", orchestrator.upper().replace("X", "x"), *WEEK)
    done = run_leaderboard("report", *arguments, "--to", str(to), POSTGRES=database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"the report is at {to}\n")
    text = to.read_text(encoding="utf-8")
    assert f"<strong>{orchestrator}</strong> from 2026-08-25 00:00 to 2026-09-01 00:00" in text
    return text


class Links(HTMLParser):
    """What a page fetches or runs."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "srcset", "data") and value]


def test_a_page_fetches_nothing_and_runs_nothing(page: str) -> None:
    links = Links()
    links.feed(page)
    assert links.fetched
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links.fetched)
    assert not {"script", "link", "iframe", "object", "embed"} & links.tags
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\(", page)


def test_a_page_shows_the_charts_with_their_titles(page: str) -> None:
    pictures = dict(re.findall(r'<img alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]*)"', page))
    assert {"Success against latency", "Score over time", "Round trip times of successful jobs"} < pictures.keys()
    assert all(base64.b64decode(picture).startswith(b"<svg") for picture in pictures.values())


def test_a_page_has_no_code_and_tells_nothing_of_the_database(page: str, database: str) -> None:
    assert database not in page
    assert "open_events" not in page
    assert "postgresql://" not in page


def test_a_page_has_its_tables_plain_and_no_words_about_what_it_leaves_out(page: str) -> None:
    assert "<td>transcoding</td>" in page
    assert re.search("<th>round_<wbr/?>trip_<wbr/?>score</th>", page)
    assert "<td>null" not in page
    assert "The database or lake" not in page
    assert "reads this notebook with a program" not in page
    assert "{'" not in page


def test_exported_files_are_read_and_a_parameter_given_and_standard_output_written(run: Run, tmp_path: Path) -> None:
    sample_data.events().write_parquet(tmp_path / "export.parquet")
    window = ("--since", "2026-09-01T00:00:00Z", "--until", "2026-09-08T00:00:00Z")
    arguments = ("--database", str(tmp_path / "export.parquet"), *window, "-p", "success_weight=1.0", "--to", "-")
    done = run("04-your-own-score", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("<!doctype html>")
    # where success alone counts, the score is the success rate
    assert re.findall(r"<td>(0x..)</td><td>([0-9.]+)</td><td>(\d)</td></tr>", done.stdout)[:2] == [
        ("0xaa", "1.0000", "1"),
        ("0xbb", "0.5000", "2"),
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("02-orchestrator-report",), "02-orchestrator-report is about one orchestrator: --orchestrator is needed"),
        (
            ("03-network-week", "--orchestrator", "0xa"),
            "03-network-week takes no ORCHESTRATOR; it takes DATABASE, LAKE",
        ),
        (("03-network-week", "-p", "COLOUR=red"), "03-network-week takes no COLOUR; it takes"),
        (("03-network-week", "-p", "since=0"), "SINCE is given as --since"),
        (("03-network-week", "-p", "red"), "must be NAME=VALUE, not 'red'"),
        (("04-your-own-score", "-p", "AT_MEDIAN=high"), "AT_MEDIAN must be like 0.5, not 'high'"),
        (("03-network-week", "--since", "2000000000", "--until", "1"), "must not be before --since"),
        (("05-no-such",), "'05-no-such' is not one of '01-reproduce-scores', '02-orchestrator-report'"),
    ],
)
def test_wrong_usage_is_one_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments, "--to", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_a_database_that_is_away_is_to_be_tried_later(run: Run, tmp_path: Path) -> None:
    done = run("03-network-week", "--to", str(tmp_path / "page.html"), POSTGRES="postgresql://u@127.0.0.1:1/x")
    assert done.returncode == 75
    assert list(tmp_path.iterdir()) == []


def test_events_that_are_not_there_are_told_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    done = run("03-network-week", "--database", f"{tmp_path}/none.parquet", "--to", str(tmp_path / "page.html"))
    assert done.returncode == 75
    assert done.stderr == f"Error: 03-network-week failed: StoreUnavailable: there is no file {tmp_path}/none.parquet\n"
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_that_fails_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("id,event_time\n1,2026-09-01T00:00:00Z\n")
    done = run("03-network-week", "--database", f"{tmp_path}/odd.csv", "--to", "-")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "SchemaError: the frame has no column 'orchestrator'" in done.stderr


def test_a_page_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("04-your-own-score", *WEEK, "--to", f"{tmp_path}/file/page.html")
    assert done.returncode == 73
    assert f"{tmp_path}/file/page.html cannot be written" in done.stderr


def test_without_its_packages_the_extra_is_named(database: str) -> None:
    code = (
        "import sys; sys.modules['nbclient'] = sys.modules['altair'] = None; from leaderboard.cli import main; "
        "main(['report', '03-network-week', '--to', '-'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(POSTGRES=database), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "packages that are not installed (altair, nbclient): pip install 'orchestrator-leaderboard[notebooks]'" in done.stderr


def test_every_notebook_of_the_folder_can_be_reported() -> None:
    assert notebooks.names() == sorted(path.stem for path in (PROJECT / "notebooks").glob("*.ipynb"))
    for name in notebooks.names():
        assert {"DATABASE", "LAKE", "SINCE", "UNTIL"} <= notebooks.parameters(notebooks.load(name)).keys()
