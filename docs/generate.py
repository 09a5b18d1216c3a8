"""Writes the parts of the pages that follow from the code.

``python -m docs.generate`` rewrites every generated part in place;
``--check`` changes nothing and exits 1 where a page is out of date. A
generated part stands between two comments in the page:

    <!-- generated: settings -->
    …
    <!-- end generated -->
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from docs import commands, error_classes, formulas, parameters, settings

FOLDER = Path(__file__).parent
PARTS: dict[str, Callable[[], str]] = {
    "commands": commands.reference,
    "settings": settings.table,
    "error classes": error_classes.table_of_classes,
    "scores": formulas.table_of_scores,
    "formulas": formulas.table_of_formulas,
    **parameters.TABLES,
}
"""The name of a generated part, and the function that writes it as Markdown."""

_PART = re.compile(r"(<!-- generated: (?P<name>.+?) -->\n).*?(<!-- end generated -->)", re.DOTALL)


def pages() -> list[Path]:
    """The pages that have generated parts, sorted by name."""
    return [page for page in sorted(FOLDER.glob("*.md")) if _PART.search(page.read_text(encoding="utf-8"))]


def generate(text: str) -> str:
    """The text of a page with its generated parts written again. Raises KeyError for a part that nothing writes."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part['name']]()}\n\n{part[3]}", text)


def main() -> None:
    """Writes the pages, or with ``--check`` names those that are out of date."""
    stale = []
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = generate(before)
        if after != before:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(after, encoding="utf-8")
    if "--check" in sys.argv and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run python -m docs.generate")


if __name__ == "__main__":
    main()
