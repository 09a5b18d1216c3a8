"""Wrong usage of ``leaderboard export`` exits with 2 and names the option."""

import pytest
from click.testing import CliRunner

from leaderboard.cli import main


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("--to", "ftp://x/{date}.csv"), "--to"),
        (("--to", "x/{day}.csv"), "--to"),
        (("--to", "/tmp/{date}/"), "--format"),
        (("--to", "/tmp/{date}/", "--format", "csv"), "--to"),
        (("--to", "/tmp", "--format", "csv", "--day", "2024-09-10"), "--to"),
        (("--to", "s3://bucket", "--format", "csv", "--day", "2024-09-10"), "--to"),
        (("--to", "/tmp/{date}", "--format", "delta"), "--to"),
        (("--to", "-", "--format", "delta", "--day", "2024-09-10"), "--to"),
        (("--to", "-", "--format", "csv"), "--to"),
        (("--to", "-", "--day", "2024-09-10"), "--format"),
        (("--to", "x/{date}"), "--format"),
        (("--to", "x.csv"), "--to"),
        (("--day", "2024-09-10"), "--to"),
        (("--to", "x/{date}.csv", "--format", "xls"), "--format"),
        (("--to", "x.csv", "--day", "2024-02-30"), "--day"),
        (("--to", "x.csv", "--day", "yesterday"), "--day"),
        (("--to", "x.csv", "--month", "2024-13"), "--month"),
        (("--to", "x.csv", "--month", "2024-9"), "--month"),
        (("--to", "x.csv", "--day", "2024-09-10", "--month", "2024-09"), "--month"),
        (("--to", "x.csv", "--day", "2024-09-10", "--since", "2024-09-01"), "--since"),
        (("--to", "x.csv", "--since", "2024-09-31"), "--since"),
        (("--to", "x.csv", "--since", "1e99"), "--since"),
        (("--to", "x.csv", "--since", "2024-09-02", "--until", "2024-09-01"), "--until"),
        (("--to", "x/{date}.csv", "--since", "2024-09-02T12:00:00Z"), "--since"),
        (("--to", "x/{date}.csv", "--since", "2024-09-02", "--until", "2024-09-03T00:00:00Z"), "--until"),
    ],
)
def test_wrong_usage_names_the_option(arguments: tuple[str, ...], option: str) -> None:
    done = CliRunner().invoke(main, ["export", "events", *arguments])
    assert done.exit_code == 2, done.output
    assert option in done.stderr.splitlines()[-1]


def test_scores_in_a_table_need_by_day() -> None:
    done = CliRunner().invoke(main, ["export", "scores", "--format", "delta", "--to", "x"])
    assert (done.exit_code, "--by day" in done.stderr) == (2, True)
