"""Scores computed by Spark from the files of the lake, for a past that outgrows one machine.

Importing this module needs no pyspark; ``open_session`` does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw
import polars as pl

from leaderboard.export.datasets import Dataset, Frames, Window, histories, label_days, label_window, scores_name
from leaderboard.lake.errors import LakeError
from leaderboard.storage.delta import first_line
from queries import FORMULA_2, Exclusion, Formula, LakeSnapshot, collect, leave_out

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

INSTALL_COMMANDS = (
    "pip install 'orchestrator-leaderboard[spark]', or in a checkout of the project pip install -e '.[spark]'"
)
DAYS_AT_ONCE = 31
"""Days that one job of Spark computes: to start a job takes longer than to read a day."""


class SparkError(Exception):
    """Spark is not installed, does not start, or failed. The message is one sentence."""


class SparkEvents:
    """The events of a lake, for Spark. ``exclusions`` are left out of scores.

    Raises LakeError for a lake that Spark would read wrongly.
    """

    def __init__(self, session: "SparkSession", lake: LakeSnapshot, exclusions: Sequence[Exclusion] = ()) -> None:
        if lake.files.is_empty():
            raise LakeError("the lake has no results")
        if lake.older_files:
            raise LakeError("the lake has files of an older release; leaderboard lake sync upgrades them")
        self._session = session
        self._lake = lake
        self._exclusions = exclusions

    def timeline(self) -> str:
        """Always the same: the version of a lake does not change."""
        return ""

    def oldest_writer_start(self) -> datetime:
        """The moment up to which the lake has every event that was committed."""
        return self._lake.as_of

    def days(self, since: datetime, until: datetime) -> list[date]:
        """The UTC days that have events with since ≤ event_time ≤ until (aware datetimes), in order."""
        days = self._lake.window(since, until).select(pl.col("event_time").dt.date().unique())
        return sorted(collect(days)["event_time"])

    def scored_events(self, since: datetime, until: datetime, formula: Formula) -> "DataFrame":
        """The events with since ≤ event_time ≤ until (aware datetimes) that the formula does not exclude."""
        files = self._lake.files.filter((pl.col("since") <= until) & (pl.col("until") >= since))
        # any file tells the columns
        files = self._lake.files.head(1) if files.is_empty() else files
        # Hadoop calls S3 by another name
        rows = self._session.read.parquet(*files["uri"].str.replace("^s3://", "s3a://"))
        events = nw.from_native(rows).filter(nw.col("event_time").is_between(since, until)).to_native()
        return leave_out(events, self._exclusions) if formula.applies_exclusions else events


@dataclass(frozen=True)
class _WindowScores(Dataset[SparkEvents]):
    formula: Formula = FORMULA_2

    def read_windows(self, source: SparkEvents, windows: Sequence[Window], **_: int) -> Iterator[Frames]:
        """See Dataset."""
        for since, until in windows:
            events = source.scored_events(since, until, self.formula)
            yield iter([label_window(_collect(histories(events, self.formula)), since, until, self.formula)])


@dataclass(frozen=True)
class _DailyScores(Dataset[SparkEvents]):
    formula: Formula = FORMULA_2

    def read_windows(self, source: SparkEvents, windows: Sequence[Window], **_: int) -> Iterator[Frames]:
        """See Dataset. One job of Spark computes many windows."""
        for start in range(0, len(windows), DAYS_AT_ONCE):
            together = windows[start : start + DAYS_AT_ONCE]
            # computed when the first of the days is written
            scores = cache(partial(self._score_days, source, together[0][0], together[-1][1]))
            for since, until in together:
                yield _rows_of_days(scores, since.date(), until.date())

    def _score_days(self, source: SparkEvents, since: datetime, until: datetime) -> pl.DataFrame:
        events = source.scored_events(since, until, self.formula)
        scores = label_days(_collect(histories(events, self.formula, by_day=True)), self.formula)
        return scores.sort("day", maintain_order=True)


def spark_window_scores(formula: Formula) -> Dataset[SparkEvents]:
    """The rows of ``window_scores``."""
    return _WindowScores(scores_name(formula), whole_window=True, formula=formula)


def spark_daily_scores(formula: Formula) -> Dataset[SparkEvents]:
    """The rows of ``daily_scores``."""
    return _DailyScores(scores_name(formula), whole_window=True, by_day=True, formula=formula)


def require_pyspark() -> None:
    """Raises SparkError where pyspark is not installed."""
    if find_spec("pyspark") is None:
        raise SparkError(f"Spark is not installed: {INSTALL_COMMANDS}")


@contextmanager
def open_session(master: str | None) -> Iterator["SparkSession"]:
    """The session of Spark that is active, or one until the ``with`` block ends.

    ``master`` is the URL of a cluster, such as spark://host:7077, or local[4].
    Without one, Spark's own settings choose it. Raises SparkError, also for
    what fails in the block because of Spark.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    try:
        if (active := SparkSession.getActiveSession()) is not None:
            yield active
            return
        builder = (
            SparkSession.builder.appName("leaderboard export")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.showConsoleProgress", "false")
        )
        session = (builder.master(master) if master else builder).getOrCreate()
        try:
            yield session
        finally:
            session.stop()
    except (PySparkException, Py4JError) as error:
        raise SparkError(f"Spark failed: {first_line(error)}") from error


def _collect(frames: list["DataFrame"]) -> pl.DataFrame:
    times = pl.selectors.datetime(time_zone="*").dt.convert_time_zone("UTC")
    return pl.concat(pl.DataFrame(pl.from_arrow(frame.toArrow())).with_columns(times) for frame in frames)


def _rows_of_days(read: Callable[[], pl.DataFrame], first: date, last: date) -> Frames:
    yield read().filter(pl.col("day").is_between(first, last))
