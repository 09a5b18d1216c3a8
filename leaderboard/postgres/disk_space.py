"""Whether the embedded server's disk has room."""

import os
from pathlib import Path

MIN_FREE_BYTES = 64 << 20
"""Below this, the server is about to refuse results: it writes them ahead in files of 16 MiB."""


def is_disk_full(folder: Path) -> bool:
    """Whether the server's account can write less than MIN_FREE_BYTES to the disk of ``folder``.

    The disk of a folder that cannot be reached does not count as full: other errors tell that.
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < MIN_FREE_BYTES
