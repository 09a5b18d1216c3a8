"""Whether a folder can be filled."""

import os
from pathlib import Path

from queries import is_local_path

RESERVED_BYTES = 256 << 20
"""What a lake leaves free on its disk, for others that write there."""


def why_not_writable(url: str) -> str | None:
    """Why nothing large can be written to a folder that need not exist yet; None if it can, and for object stores."""
    if not is_local_path(url):
        return None
    folder = Path(url.removeprefix("file://"))
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not existing.is_dir():
        return f"{existing} is no folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"{existing} cannot be written to"
    found = os.statvfs(existing)
    if found.f_bavail * found.f_frsize < RESERVED_BYTES:
        return f"the disk of {existing} has less than {RESERVED_BYTES >> 20} MiB free"
    return None
