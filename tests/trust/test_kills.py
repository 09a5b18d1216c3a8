"""Nothing that was acknowledged is lost, and nothing wrong is answered, while everything around it is killed.

``python -m benchmarks.trust`` does the same at length.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.trust.faults import Faults
from benchmarks.trust.processes.database import TrialDatabase
from benchmarks.trust.processes.nginx import running_nginx
from benchmarks.trust.processes.pgbouncer import TrialPooler
from benchmarks.trust.processes.service import TrialService
from benchmarks.trust.traffic.ledger import Ledger, Outcome
from benchmarks.trust.traffic.subjects import Subject
from benchmarks.trust.traffic.trial import Trial
from tests.support.programs import require_program

POSTERS = 8
POSTS_BETWEEN_FAULTS = 40
KILLS = (
    "kill a worker",
    "kill a process of the database",
    "cut connections",
    "kill the master",
    "kill the database",
    "terminate connections",
    "reload",
)


POOLER_KILLS = ("restart the pooler", "kill a process of the database", "terminate connections")


PROXY_KILLS = ("kill a worker", "cut connections", "reload")


def run_trial(
    database: TrialDatabase, folder: Path, kills: tuple[str, ...], proxy: Callable[[Path, int], Any] | None = None
) -> Trial:
    settings = {"POSTGRES": database.url, "LAKE_URL": str(folder / "lake"), "LAKE_SYNC_INTERVAL": "1",
                "PIPELINES_CACHE_TIMEOUT": "0"}  # fmt: skip
    with ExitStack() as stack:
        service = stack.enter_context(TrialService(settings, folder / "service.log").running())
        port = stack.enter_context(proxy(folder, service.port)) if proxy else service.port
        trial, faults = Trial(port), Faults(service, database).named()
        with trial.traffic(POSTERS, readers=3, pause_seconds=0.05):
            made = list(trial.run([(name, faults[name]) for name in kills], POSTS_BETWEEN_FAULTS))
        trial.check(database.stored())
    assert made == list(kills)
    return trial


def assert_ledger_holds(trial: Trial, kills: tuple[str, ...]) -> None:
    assert trial.ledger.violations == []
    assert trial.ledger.outcomes()[Outcome.ACKNOWLEDGED] >= len(kills) * POSTS_BETWEEN_FAULTS
    asked = {kind: trial.counts.total(kind, "200") for kind in trial.counts.statuses}
    assert len(asked) == 8
    assert min(asked.values()) > 0


@pytest.mark.slow
def test_kills_lose_nothing_and_no_answer_disagrees_with_the_ledger(data_dir: Path, tmp_path: Path) -> None:
    with TrialDatabase(data_dir).running() as database:
        trial = run_trial(database, tmp_path, KILLS)
    assert_ledger_holds(trial, KILLS)


@pytest.mark.slow
def test_kills_behind_a_transaction_pooler_lose_nothing(data_dir: Path, tmp_path: Path) -> None:
    require_program("pgbouncer")
    pooler = TrialPooler(data_dir / "pooler", data_dir / "postgres")
    with TrialDatabase(data_dir).running(pooler) as database:
        trial = run_trial(database, tmp_path, POOLER_KILLS)
    assert_ledger_holds(trial, POOLER_KILLS)


@pytest.mark.slow
def test_kills_behind_nginx_lose_nothing(data_dir: Path, tmp_path: Path) -> None:
    require_program("nginx")
    with TrialDatabase(data_dir).running() as database:
        trial = run_trial(database, tmp_path, PROXY_KILLS, running_nginx)
    assert_ledger_holds(trial, PROXY_KILLS)


class TestLedger:
    """The ledger finds what it is there to find."""

    SUBJECT = Subject(1, is_ai=False, batch_results=2)

    @pytest.fixture
    def ledger(self) -> Ledger:
        """The anchor 0 and the batch 1, 2 are acknowledged, the batch 3, 4 is unknown, and 5, 6 was refused."""
        ledger = Ledger()
        for results, outcome in (
            (1, Outcome.ACKNOWLEDGED),
            (2, Outcome.ACKNOWLEDGED),
            (2, Outcome.UNKNOWN),
            (2, Outcome.REFUSED),
        ):
            ledger.end(ledger.begin(self.SUBJECT, results), outcome)
        return ledger

    @pytest.mark.parametrize("stored", [[0, 1, 2], [0, 1, 2, 3, 4]])
    def test_unknown_batch_may_be_stored_or_not(self, ledger: Ledger, stored: list[int]) -> None:
        ledger.check_stored([(self.SUBJECT.address, number) for number in stored])
        assert ledger.violations == []

    @pytest.mark.parametrize(
        ("stored", "finding"),
        [
            ([0, 2], "lacks"),
            ([0, 1, 2, 2], "has twice"),
            ([0, 1, 2, 3, 4, 3, 4], "has twice"),
            ([0, 1, 2, 4], "has a part of a batch"),
            ([0, 1, 2, 5, 6], "was refused"),
            ([0, 1, 2, 9], "was never sent"),
        ],
    )
    def test_wrong_rows_are_found(self, ledger: Ledger, stored: list[int], finding: str) -> None:
        ledger.check_stored([(self.SUBJECT.address, number) for number in stored])
        assert any(finding in sentence for sentence in ledger.violations)

    @pytest.mark.parametrize(("number", "is_right"), [(1, False), (3, True), (4, False), (5, True), (7, False)])
    def test_counts_are_compared(self, ledger: Ledger, number: int, is_right: bool) -> None:
        known = {0, 1, 2}
        ledger.check_count("an answer", self.SUBJECT, number, known)
        assert (ledger.violations == []) == is_right

    def test_what_was_read_once_must_stay(self, ledger: Ledger) -> None:
        ledger.check_numbers("the first answer", self.SUBJECT, [0, 1, 2, 3, 4], {0, 1, 2})
        ledger.check_stored([(self.SUBJECT.address, number) for number in (0, 1, 2)])
        assert ledger.violation_count == 1

    def test_foreign_rows_are_found(self, ledger: Ledger) -> None:
        ledger.check_stored([(self.SUBJECT.address, number) for number in (0, 1, 2)] + [("0x" + "f" * 40, 0)])
        assert ledger.violation_count == 1
