"""The source of events that an installed application names, for callers that give no URL."""

from importlib.metadata import entry_points

ENTRY_POINT_GROUP = "queries.default_source"
"""An application registers one function here. It takes nothing and returns a URL and the URL of the lake, or None."""


def default_source() -> tuple[str, str | None]:
    """The URL of the default source and of its lake. Raises ValueError where no single application names them."""
    found = entry_points(group=ENTRY_POINT_GROUP)
    if len(found) != 1:
        names = ", ".join(sorted(entry.value for entry in found)) or "none"
        raise ValueError(
            f"give the URL of a source of events: without one, exactly one installed package must name it "
            f"(entry point {ENTRY_POINT_GROUP}; found {names})"
        )
    (entry,) = found
    url, lake = entry.load()()
    return url, lake
