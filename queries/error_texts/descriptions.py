"""What the texts of errors mean. Most texts come up again, so what was found out about them is kept."""

from threading import Lock

import polars as pl
from cachetools import LRUCache

from queries.error_texts.classes import classify_errors
from queries.error_texts.normalization import message_text, normalize_error

MAX_KEPT_TEXTS = 10_000
MAX_KEPT_CHARACTERS = 500
"""Of longer texts, which seldom come up again, nothing is kept."""

POSTED_COLUMNS = ("posted_code", "posted_message")
DESCRIBED_SCHEMA = dict.fromkeys((*POSTED_COLUMNS, "class", "error_code", "message"), pl.String)

Text = tuple[str, str]
Description = tuple[str, str, str | None]

_kept: LRUCache[Text, Description] = LRUCache(MAX_KEPT_TEXTS)
_lock = Lock()


def describe_texts(texts: pl.DataFrame) -> pl.DataFrame:
    """The texts, as DESCRIBED_SCHEMA: POSTED_COLUMNS, which are never null, with what they mean.

    class is of ``classify_errors``, error_code and message are of
    ``normalize_error``, message is null where it is empty. Threads may call
    this.
    """
    rows: list[Text] = texts.select(POSTED_COLUMNS).rows()
    with _lock:
        known = {text: _kept[text] for text in rows if text in _kept}
    if unknown := [text for text in rows if text not in known]:
        found: list[Description] = _describe(
            pl.DataFrame(unknown, dict.fromkeys(POSTED_COLUMNS, pl.String), orient="row")
        )
        known.update(zip(unknown, found, strict=True))
        with _lock:
            _kept.update({text: known[text] for text in unknown if sum(map(len, text)) <= MAX_KEPT_CHARACTERS})
    return pl.DataFrame([text + known[text] for text in rows], DESCRIBED_SCHEMA, orient="row")


def _describe(texts: pl.DataFrame) -> list[Description]:
    code, message = map(pl.col, POSTED_COLUMNS)
    normalized = normalize_error(message_text(message)).replace("", None)
    return texts.select(
        classify_errors(code, message).alias("class"),
        normalize_error(code).alias("error_code"),
        normalized.alias("message"),
    ).rows()
