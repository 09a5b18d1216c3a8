"""The table of settings."""

from docs.markdown import table as markdown_table
from leaderboard.settings import describe_settings


def table() -> str:
    """One row per setting: its name, meaning and default."""
    rows = ((f"`{name}`", meaning, default) for name, meaning, default in describe_settings())
    return markdown_table(("variable", "meaning", "default"), rows)
