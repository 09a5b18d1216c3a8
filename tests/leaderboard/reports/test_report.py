"""``leaderboard report`` writes notebooks as self-contained pages."""

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from leaderboard.cli import main
from leaderboard.reports import notebooks
from queries import sample_data
from tests.conftest import clone, drop, rows
from tests.support.commands import PROJECT, environment, run_leaderboard

pytestmark = pytest.mark.slow

WEEK = ("--since", "2026-08-25T00:00:00Z", "--until", "2026-09-01T00:00:00Z")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def database(server: str, template: str) -> Iterator[str]:
    """A database with 2,000 results of a week. Tests only read it."""
    url = clone(server, template, "reports")
    done = run_leaderboard("simulate", "2000", "--days", "7", "--until", "2026-09-01T00:00:00Z", POSTGRES=url)
    assert done.returncode == 0, done.stderr
    yield url
    drop(server, "reports")


@pytest.fixture
def run(database: str) -> Run:
    """Runs ``leaderboard report`` over the database, in this process."""
    return lambda *arguments, **settings: CliRunner().invoke(
        main, ["report", *arguments], env={"POSTGRES": database} | settings
    )


@pytest.fixture(scope="module")
def page(database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on the orchestrator with the most results."""
    statement = "SELECT orchestrator FROM events GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    ((orchestrator,),) = rows(database, statement)
    to = tmp_path_factory.mktemp("report") / "new" / "report.html"
    arguments = ("02-orchestrator-report", "--orchestrator", orchestrator.upper().replace("X", "x"), *WEEK)
    done = run_leaderboard("report", *arguments, "--to", str(to), POSTGRES=database)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"the report is at {to}\n")
    text = to.read_text(encoding="utf-8")
    assert f"<strong>{orchestrator}</strong> from 2026-08-25 00:00 to 2026-09-01 00:00" in text
    return text


CELL = re.compile(r"<td\b[^>]*>(.*?)</td>")


def overview(page: str, job_type: str) -> list[str]:
    """The counts of a job type in the first table of the network's report."""
    cells = CELL.findall(page)
    start = cells.index(job_type) + 1
    return cells[start : start + 6]


class LinkCollector(HTMLParser):
    """The tags of a page, and the URLs that a browser fetches for it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "srcset", "data") and value]


def test_page_fetches_nothing_and_runs_no_script(page: str) -> None:
    links = LinkCollector()
    links.feed(page)
    assert links.fetched
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links.fetched)
    assert not {"script", "link", "iframe", "object", "embed"} & links.tags
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\(", page)


def test_page_shows_charts_with_titles(page: str) -> None:
    found = re.findall(r'<img alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]*)"', page)
    pictures = dict(found)
    assert len(pictures) == len(found)
    for job_type in ("transcoding", "AI"):
        for title in ("Success against latency", "Score over time", "Round trip times of successful jobs"):
            assert [alt for alt in pictures if alt.startswith(f"{title} · {job_type}")]
    svgs = [base64.b64decode(picture).decode() for picture in pictures.values()]
    assert all(svg.startswith("<svg") and ">2026-08-25 00:00 to 2026-09-01 00:00 UTC<" in svg for svg in svgs)


def test_page_has_no_code_and_no_database_url(page: str, database: str) -> None:
    assert database not in page
    assert "open_events" not in page
    assert "postgresql://" not in page


def test_page_begins_with_title_window_source_time_and_formula(page: str) -> None:
    header = page.partition("<main>")[0]
    assert "<title>Report on an orchestrator</title>" in header
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", header))
    assert facts.keys() == {"Window", "Source", "Made at", "Formula"}
    assert facts["Window"] == "2026-08-25 00:00 to 2026-09-01 00:00 UTC"
    assert facts["Source"].startswith("the database reports at ")


def test_page_has_plain_tables_and_leaves_out_notes_for_notebook_readers(page: str) -> None:
    assert "transcoding" in CELL.findall(page)
    assert "round trip score" in re.findall(r"<th[^>]*>(.*?)</th>", page)
    # no name of a column, no size of a frame, and no row or column left out
    visible = re.sub(r"<(style|head)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert re.findall(r"\b[a-z]+_[a-z_]+\b|shape: |^…$|\bnull\b", visible, re.MULTILINE) == []
    source = (PROJECT / "notebooks" / "02-orchestrator-report.ipynb").read_text(encoding="utf-8")
    for note in ("Change the first cell", "for programs that read this notebook"):
        assert note in source
        assert note not in page
    assert "{'" not in page


def test_report_reads_exported_files_takes_parameters_and_writes_to_stdout(run: Run, tmp_path: Path) -> None:
    sample_data.events().write_parquet(tmp_path / "export.parquet")
    window = ("--since", "2026-09-01T00:00:00Z", "--until", "2026-09-08T00:00:00Z")
    arguments = ("--database", str(tmp_path / "export.parquet"), *window, "-p", "success_weight=1.0", "--to", "-")
    done = run("04-your-own-score", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("<!doctype html>")
    # where success alone counts, the score is the success rate
    cells = CELL.findall(done.stdout)
    ranks = [index for index, text in enumerate(cells) if text.startswith("0x")][:2]
    assert [cells[index - 1 : index + 2] for index in ranks] == [["1", "0xaa", "1.000"], ["2", "0xbb", "0.667"]]
    assert cells[:8] == ["of the service", "0.650", "0.350", "0.800", "yours", "1.000", "0.000", "0.500"]
    assert "{'" not in done.stdout


def test_report_on_an_orchestrator_says_where_exported_files_tell_no_errors(run: Run, tmp_path: Path) -> None:
    sample_data.events().write_parquet(tmp_path / "export.parquet")
    window = ("--since", "2026-09-01T00:00:00Z", "--until", "2026-09-08T00:00:00Z")
    arguments = ("--database", str(tmp_path / "export.parquet"), *window, "--orchestrator", "0xaa", "--to", "-")
    done = run("02-orchestrator-report", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "This source of events does not tell the errors." in done.stdout


def test_report_is_by_the_given_formula(run: Run, tmp_path: Path) -> None:
    sample_data.events().write_parquet(tmp_path / "export.parquet")
    window = ("--since", "2026-09-01T00:00:00Z", "--until", "2026-09-08T00:00:00Z")
    arguments = ("03-network-week", "--database", str(tmp_path / "export.parquet"), *window, "--to", "-")
    # orchestrators, regions, events, succeeded, failed, unscored
    for options, setting, expected in (
        ((), "2", "2 1 5 4 1 1"),
        ((), "1", "2 1 6 4 2 0"),
        (("--formula", "1"), "2", "2 1 6 4 2 0"),
    ):
        page = run(*arguments, *options, FORMULA=setting).stdout
        assert overview(page, "AI") == expected.split()


def test_busy_orchestrators_can_be_unscored_in_a_report(run: Run, tmp_path: Path) -> None:
    events = sample_data.events().with_columns(error_kind=pl.when(pl.col("error_kind") == "other").then(pl.lit("busy")))
    events.write_parquet(tmp_path / "export.parquet")
    window = ("--since", "2026-09-01T00:00:00Z", "--until", "2026-09-08T00:00:00Z")
    arguments = ("03-network-week", "--database", str(tmp_path / "export.parquet"), *window, "--to", "-")
    page = run(*arguments, "--busy", "ignore").stdout
    assert overview(page, "transcoding") == ["2", "2", "3", "3", "0", "2"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("02-orchestrator-report",), "02-orchestrator-report is about one orchestrator, and needs --orchestrator"),
        (
            ("03-network-week", "--orchestrator", "0xa"),
            "03-network-week takes no ORCHESTRATOR; it takes DATABASE, LAKE",
        ),
        (("01-reproduce-scores", "--formula", "1"), "01-reproduce-scores takes no BUSY, FORMULA; it takes DATABASE"),
        (("03-network-week", "-p", "formula=1"), "FORMULA is given as --formula"),
        (("03-network-week", "-p", "COLOUR=red"), "03-network-week takes no COLOUR; it takes"),
        (("03-network-week", "-p", "since=0"), "SINCE is given as --since"),
        (("03-network-week", "-p", "red"), "must be NAME=VALUE, not 'red'"),
        (("04-your-own-score", "-p", "AT_MEDIAN=high"), "AT_MEDIAN must be like 0.5, not 'high'"),
        (("03-network-week", "--since", "2000000000", "--until", "1"), "must not be before --since"),
        (("05-no-such",), "'05-no-such' is not one of '01-reproduce-scores', '02-orchestrator-report'"),
    ],
)
def test_usage_error_is_one_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments, "--to", "-")
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_unavailable_database_exits_with_75_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("03-network-week", "--to", str(tmp_path / "page.html"), POSTGRES="postgresql://u@127.0.0.1:1/x")
    assert done.exit_code == 75
    assert list(tmp_path.iterdir()) == []


def test_missing_events_exit_with_75_and_write_nothing(run: Run, tmp_path: Path) -> None:
    done = run("03-network-week", "--database", f"{tmp_path}/none.parquet", "--to", str(tmp_path / "page.html"))
    assert done.exit_code == 75
    assert done.stderr == f"Error: 03-network-week failed: StoreUnavailable: there is no file {tmp_path}/none.parquet\n"
    assert list(tmp_path.iterdir()) == []


def test_failing_notebook_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text("id,event_time\n1,2026-09-01T00:00:00Z\n")
    done = run("03-network-week", "--database", f"{tmp_path}/odd.csv", "--to", "-")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "SchemaError: the frame has no column 'orchestrator'" in done.stderr


def test_scores_are_reproduced_without_a_service(run: Run) -> None:
    done = run("01-reproduce-scores", *WEEK, "--to", "-")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "The largest difference" in done.stdout


def test_failing_service_is_named_with_the_reason(run: Run) -> None:
    done = run("01-reproduce-scores", *WEEK, "-p", "SERVICE=http://127.0.0.1:1", "--to", "-")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "http://127.0.0.1:1/api/aggregated_stats?since=2026-08-25" in done.stderr
    assert "cannot be reached: " in done.stderr
    assert "Connection refused" in done.stderr


def test_unwritable_page_exits_with_73(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("04-your-own-score", *WEEK, "--to", f"{tmp_path}/file/page.html")
    assert done.exit_code == 73
    assert f"{tmp_path}/file/page.html cannot be written" in done.stderr


def test_missing_packages_are_named_with_the_command_to_install_them(database: str) -> None:
    code = (
        "import sys; sys.modules['nbclient'] = sys.modules['altair'] = None; from leaderboard.cli import main; "
        "main(['report', '03-network-week', '--to', '-'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(POSTGRES=database), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    packages = "packages that are not installed (altair, nbclient)"
    assert f"{packages}: pip install 'orchestrator-leaderboard[notebooks]', or in a checkout" in done.stderr


def test_every_notebook_of_the_folder_has_the_parameters_of_a_report() -> None:
    assert notebooks.names() == sorted(path.stem for path in (PROJECT / "notebooks").glob("*.ipynb"))
    for name in notebooks.names():
        assert {"DATABASE", "LAKE", "SINCE", "UNTIL"} <= notebooks.parameters(notebooks.load(name)).keys()
