"""The lake as Spark exports it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from leaderboard.cli.errors import TryAgain
from leaderboard.cli.stores import open_hybrid_events
from leaderboard.export.spark import SparkEvents, open_session, require_pyspark
from leaderboard.lake.errors import LakeError
from leaderboard.settings import Settings
from queries import Exclusion, LakeEvents, LakeSnapshot, hash64


@contextmanager
def open_spark_events(settings: Settings, master: str | None, *, lake_only: bool) -> Iterator[SparkEvents]:
    """The events of the lake, without the excluded ones. With ``lake_only``, nobody knows which these are."""
    require_pyspark()
    exclusions: list[Exclusion] = []
    if lake_only:
        lake = LakeEvents(settings.lake, timeout=settings.db_timeout).require_snapshot()
    else:
        lake, exclusions = _read_lake(settings)
    with open_session(master) as session:
        yield SparkEvents(session, lake, exclusions)


def _read_lake(settings: Settings) -> tuple[LakeSnapshot, list[Exclusion]]:
    """The lake of the database and what is left out of scores. Refuses a lake that differs from the database."""
    with closing(open_hybrid_events(settings, settings.db_timeout, from_primary=True)) as events:
        # read before the lake, which names the database
        changes, exclusions = events.changes(), events.exclusions()
        lake = events.lake()
    if lake is None:
        raise LakeError(f"{settings.lake} has no lake of this database; leaderboard lake sync makes one")
    if lake.changes != hash64(changes):
        raise TryAgain("results were changed in the database after the last sync; run leaderboard lake sync")
    return lake, exclusions
