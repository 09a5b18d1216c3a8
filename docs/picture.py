"""Draws the picture in docs/notebooks.md: the ranking of a simulated network.

``python -m docs.picture`` writes docs/images/ranking.svg. It needs the extra ``notebooks``.
"""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import polars as pl

from leaderboard.reports.style import with_dark_colours
from leaderboard.simulation.generator import Simulation
from queries import EVENT_SCHEMA, EventFilter, charts, conform, ranking
from queries.times import TimeRange

PICTURE = Path(__file__).parent / "images" / "ranking.svg"
UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
WEEK = TimeRange(UNTIL - timedelta(days=7), UNTIL)


def simulated_events() -> pl.DataFrame:
    """A week of 20,000 results of 15 orchestrators, with the columns of EVENT_SCHEMA."""
    simulation = Simulation(20_000, *WEEK, orchestrators=15)
    return conform(pl.concat(simulation.frames()).with_row_index("id")).select(*EVENT_SCHEMA)


def main() -> None:
    """Writes the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    drawn = StringIO()
    charts.ranking(ranking(simulated_events()), EventFilter(), window=WEEK).save(drawn, format="svg")
    PICTURE.write_text(with_dark_colours(drawn.getvalue()), encoding="utf-8")


if __name__ == "__main__":
    main()
