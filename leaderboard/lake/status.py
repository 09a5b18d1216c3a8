"""How far the lake reaches, how far it lags behind the database, and how large it is."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import polars as pl

from queries import LakeSnapshot, PostgresEvents


@dataclass(frozen=True)
class LakeStatus:
    """The figures of one version of the lake.

    ``lag_events`` is the number of events that the lake lacks. ``lag_seconds``
    is 0 if it lacks none, and else the seconds since the service received the
    oldest of these. ``as_of`` is a moment before which every committed event is
    in the lake; ``bytes`` is the size of its data files; the moments are None
    where there is nothing to tell.
    """

    url: str
    version: int
    watermark: int
    as_of: datetime
    lag_events: int
    lag_seconds: int
    events: int
    files: int
    older_files: int
    bytes: int
    first_event: datetime | None
    last_event: datetime | None
    pruned_before: datetime | None

    def to_dict(self) -> dict[str, str | int | None]:
        """The figures by name, with moments as RFC 3339 text in whole seconds."""
        return {
            name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }


def read_status(postgres: PostgresEvents, snapshot: LakeSnapshot, url: str) -> LakeStatus:
    """The status of the lake at ``url``, of which ``snapshot`` is a version. Raises StoreUnavailable, StoreTimeout."""
    backlog = postgres.backlog(snapshot.watermark)
    files = snapshot.files
    return LakeStatus(
        url=url,
        version=snapshot.version,
        watermark=snapshot.watermark,
        as_of=snapshot.as_of,
        lag_events=backlog.events,
        lag_seconds=0 if backlog.oldest is None else _seconds_since(backlog.oldest),
        events=int(files["events"].sum()),
        files=files.height,
        older_files=snapshot.older_files,
        bytes=int(files["bytes"].sum()),
        first_event=files.select(pl.col("since").min()).item(),
        last_event=files.select(pl.col("until").max()).item(),
        pruned_before=postgres.state().pruned,
    )


def _seconds_since(moment: datetime) -> int:
    # an import may hold moments that are still to come
    return max(0, round((datetime.now(UTC) - moment).total_seconds()))
