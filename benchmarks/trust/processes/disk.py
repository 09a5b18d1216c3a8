"""A small file system in memory, which can be filled."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK_BYTES = 1 << 16


class SmallDisk:
    """A mounted tmpfs of ``size_mib`` at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextmanager
    def mounted(cls, path: Path, size_mib: int) -> Iterator["SmallDisk | None"]:
        """The disk, or None where this process may not mount one."""
        path.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=0755", "tmpfs", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            yield None
            return
        if done.returncode:
            yield None
            return
        try:
            yield cls(path)
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=False)

    @contextmanager
    def ballast(self) -> Iterator[Path]:
        """A file to fill the disk with, which is deleted at the end of the ``with`` statement."""
        file = self.path / "ballast"
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)


def fill(ballast: Path) -> None:
    """Appends to the file until the disk has no room."""
    with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
        while file.write(bytes(CHUNK_BYTES)):
            pass
