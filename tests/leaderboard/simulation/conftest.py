"""A month of simulated results, which tests only read."""

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import msgspec
import polars as pl
import pytest

from leaderboard.simulation.generator import Simulation

UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=30)
MONTH = Simulation(60_000, SINCE, UNTIL, ai_share=0.4)

Result = dict[str, Any]


def share(mask: pl.Series) -> float:
    """The share of true values."""
    return sum(mask) / len(mask)


def middle(numbers: pl.Series) -> float:
    """The median of a column of numbers."""
    return float(median(numbers))


@pytest.fixture(scope="session")
def simulated() -> pl.DataFrame:
    """The results of MONTH, as the simulation makes them."""
    return pl.concat(MONTH.frames())


@pytest.fixture(scope="session")
def results(simulated: pl.DataFrame) -> list[Result]:
    """The posted documents of ``simulated``, with the moment at which each was received as ``received``."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return [
        decode(payload) | {"received": received}
        for received, payload in simulated.select("event_time", "payload").iter_rows()
    ]
