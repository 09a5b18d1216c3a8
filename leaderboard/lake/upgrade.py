"""Gives a lake of an older release the columns of this one.

Sync calls this first, so each of its commits leaves a lake in which every file
has every column. An older release, which may still run beside this one, adds
files without them. Readers derive the columns of such files from the payload
(see LakeSnapshot), and the next sync upgrades them.
"""

import logging
from collections.abc import Callable

from leaderboard.lake.chunks import Progress
from leaderboard.lake.table import LakeTable, SyncPosition

log = logging.getLogger(__name__)


def upgrade(lake: LakeTable, progress: Progress, before_commit: Callable[[], None]) -> int:
    """Rewrites the files that are not complete (see LakeSnapshot), in one commit, and returns their number.

    The position of the lake stays. The lake has to be opened again after this.
    ``before_commit`` is that of ``sync``. Raises LakeConflict and LakeError.
    """
    # this comes first: the commit below finds out about any writer after the version that the files are read from
    lake.add_columns()
    snapshot = lake.snapshot()
    if snapshot is None or not snapshot.older_files:
        return 0
    log.info("an older release wrote %s files of the lake; upgrading them", snapshot.older_files)
    change = lake.stage_upgrade(progress)
    before_commit()
    lake.commit(change, SyncPosition.of(snapshot))
    log.info("upgraded the lake")
    return snapshot.older_files
