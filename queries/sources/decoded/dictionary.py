"""The texts of all decoded files in one folder, in the order of their codes. Texts are only ever added."""

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import polars as pl

from queries.sources.decoded.atomic_files import partial_file, publish

DICTIONARY_NAME = "dictionary.json"


@dataclass(frozen=True, eq=False)
class TextDictionary:
    """Texts (String, each one once). The code of a text is its place.

    Dictionaries of one ``lineage`` are extensions of each other.
    """

    texts: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    lineage: str = field(default_factory=lambda: uuid4().hex)

    def extends(self, older: "TextDictionary") -> bool:
        """Whether this one has the texts of an older one with the same codes."""
        return self.lineage == older.lineage and self.texts.head(older.texts.len()).equals(older.texts)

    def write(self, folder: Path) -> None:
        """Replaces the dictionary of the folder. Raises OSError."""
        content = json.dumps({"lineage": self.lineage, "texts": self.texts.to_list()}, ensure_ascii=False).encode()
        with partial_file(folder) as path:
            path.write_bytes(f"{_checksum(content)}\n".encode() + content)
            publish(path, folder / DICTIONARY_NAME)


def read_dictionary(folder: Path) -> TextDictionary | None:
    """The dictionary of a folder, or None where there is none, or a damaged one."""
    try:
        checksum, _, content = (folder / DICTIONARY_NAME).read_bytes().partition(b"\n")
    except OSError:
        return None
    if checksum.decode(errors="replace") != _checksum(content):
        return None
    fields = json.loads(content)
    return TextDictionary(pl.Series(fields["texts"], dtype=pl.String), fields["lineage"])


def _checksum(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
