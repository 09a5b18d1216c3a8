"""Programs that the package index does not have."""

import os
import shutil
from pathlib import Path


def find_program(name: str) -> Path | None:
    """The path of a program, or None where it is not installed."""
    # Debian puts servers where only root's PATH looks
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None
