"""The classes of errors as a table."""

from docs.markdown import table
from queries import ERROR_CLASSES


def table_of_classes() -> str:
    """One row per class of errors, in the order of the rules."""
    rows = (
        (f"`{found.name}`", found.meaning, ", ".join(f"`{text}`" for text in found.examples), found.what_to_do)
        for found in ERROR_CLASSES
    )
    return table(("class", "meaning", "for example", "what to do"), rows)
