"""The files of the migrations: SQL that changes the schema from one version to the next, and back."""

import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from leaderboard.postgres.errors import MigrationError

FILE_NAME = re.compile(r"([0-9]+)_(.*)\.(down|up)\.sql")


@dataclass(frozen=True)
class Migration:
    """One version of the schema: its number, its name, and the SQL that applies and reverts it."""

    version: int
    name: str
    up: str | None = None
    down: str | None = None


def load(folder: Traversable | None = None) -> list[Migration]:
    """The migrations of a folder, by default this project's, in the order of their numbers.

    Raises MigrationError where two files have the same number and direction.
    """
    names: dict[int, str] = {}
    scripts: dict[tuple[int, str], str] = {}
    for file in (folder or _folder()).iterdir():
        if match := FILE_NAME.fullmatch(file.name):
            version, name, direction = int(match[1]), match[2], match[3]
            if (version, direction) in scripts:
                raise MigrationError(f"there are two {direction} files for version {version}: rename one")
            names.setdefault(version, name)
            scripts[version, direction] = file.read_text(encoding="utf-8")
    return [
        Migration(version, name, scripts.get((version, "up")), scripts.get((version, "down")))
        for version, name in sorted(names.items())
    ]


def _folder() -> Traversable:
    """The project's migrations: inside the package where it is installed, beside it in a checkout."""
    package = files("leaderboard")
    installed = package / "migrations"
    return installed if installed.is_dir() else package / ".." / "migrations"
