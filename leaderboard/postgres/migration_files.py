"""The migrations: SQL files that lead from one version of the schema to the next and back."""

import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from leaderboard.postgres.errors import MigrationError

FILE_NAME = re.compile(r"([0-9]+)_(.*)\.(down|up)\.sql")


@dataclass(frozen=True)
class Migration:
    """One version of the schema: its number, its name, and the SQL that leads to it and away from it."""

    version: int
    name: str
    up: str | None = None
    down: str | None = None


def load(folder: Traversable | None = None) -> list[Migration]:
    """The migrations of a folder, this project's by default, in the order of their numbers."""
    found: dict[int, dict[str, str]] = {}
    for file in (folder or _folder()).iterdir():
        if match := FILE_NAME.fullmatch(file.name):
            version, name, direction = int(match[1]), match[2], match[3]
            parts = found.setdefault(version, {"name": name})
            if direction in parts:
                raise MigrationError(f"two migrations lead {direction} at version {version}: rename one")
            parts[direction] = file.read_text(encoding="utf-8")
    return [Migration(version, **parts) for version, parts in sorted(found.items())]


def _folder() -> Traversable:
    """The project's migrations: inside the package where it is installed, beside it in a checkout."""
    package = files("leaderboard")
    installed = package / "migrations"
    return installed if installed.is_dir() else package / ".." / "migrations"
