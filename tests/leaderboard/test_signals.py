"""Signals that end a process."""

import signal
import threading
from collections.abc import Iterator

import pytest

from leaderboard.signals import defer_signals, exit_on_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_exit_with_their_number() -> None:
    exit_on_signals()
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM


def test_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    exit_on_signals()
    with defer_signals():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_deferred_signal_takes_effect_at_the_end_of_the_block() -> None:
    exit_on_signals()
    steps = []

    def run() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            steps.append("after the signal")

    with pytest.raises(SystemExit):
        run()
    assert steps == ["after the signal"]


def test_signals_can_be_deferred_on_any_thread() -> None:
    steps = []

    def run() -> None:
        with defer_signals():
            steps.append("done")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert steps == ["done"]
