"""Words for people: what a chart is about, and text from outside that can always be shown."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from queries.filters import AI, EventFilter
from queries.times import TimeRange

NOTHING = "–"
"""What stands for a missing value."""

MAX_ADDRESS_CHARACTERS = 14
"""A longer address is shortened where there is little room."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CONTROL_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\N{SYMBOL FOR DELETE}"}
# C1 controls, marks that turn the direction of writing, ends of lines, and characters that XML does not have
_UNSEEN_RANGES = ((0x80, 0x9F), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069), (0xFFFE, 0xFFFF))
_REPLACED = _CONTROL_PICTURES | {
    "\u061c": _REPLACEMENT,
    **{chr(code): _REPLACEMENT for first, last in _UNSEEN_RANGES for code in range(first, last + 1)},
}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), _REPLACEMENT)
_TRANSLATION = str.maketrans(_REPLACED) | _SURROGATES


def visible_text(text: str) -> str:
    r"""The text with a visible sign for each control character, as SVG allows none of them.

    >>> visible_text("a\x07b\ufffe")
    'a␇b�'
    """
    return text.translate(_TRANSLATION)


def visible_frame(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``visible_text`` of all text."""
    return rows.with_columns(pl.col(pl.String).str.replace_many(_REPLACED))


def visible_values(value: Any) -> Any:
    """The value with ``visible_text`` of all text in it, also within dicts and lists."""
    if isinstance(value, str):
        return visible_text(value)
    if isinstance(value, Mapping):
        return {visible_values(key): visible_values(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [visible_values(part) for part in value]
    return value


def shorten_address(address: str) -> str:
    """An address as its first eight and last four characters, ``0x10e0a9…7fb7``; a short one as it is."""
    return f"{address[:8]}…{address[-4:]}" if len(address) > MAX_ADDRESS_CHARACTERS else address


def describe_jobs(event_filter: EventFilter) -> str:
    """Which jobs the filter selects, and which of their orchestrators, regions and models.

    >>> describe_jobs(EventFilter("ai", region="FRA", pipeline="llm", model="small"))
    'AI · llm · small · region FRA'
    """
    warmth = {None: None, True: "model loaded", False: "model not loaded"}[event_filter.warm]
    region = event_filter.region and f"region {event_filter.region}"
    address = event_filter.orchestrator and shorten_address(event_filter.orchestrator)
    job = describe_job_type(event_filter.job_type)
    return " · ".join(filter(None, (job, event_filter.pipeline, event_filter.model, warmth, region, address)))


def describe_job_type(job_type: str) -> str:
    """The job type as people write it: ``transcoding`` or ``AI``."""
    return "AI" if job_type == AI else job_type


def describe_window(window: TimeRange) -> str:
    """The window in UTC, by the minute.

    >>> from datetime import UTC, datetime
    >>> describe_window(TimeRange(datetime(2026, 8, 25, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)))
    '2026-08-25 00:00 to 2026-09-01 00:00 UTC'
    """
    return f"{window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC"
