"""Descriptions of texts that were met before, and of new ones."""

import polars as pl

from queries.error_texts.descriptions import DESCRIBED_SCHEMA, MAX_KEPT_CHARACTERS, POSTED_COLUMNS, describe_texts


def described(*texts: tuple[str, str]) -> list[tuple[str | None, ...]]:
    return describe_texts(pl.DataFrame(texts, dict.fromkeys(POSTED_COLUMNS, pl.String), orient="row")).rows()


def test_each_text_keeps_its_own_description() -> None:
    timeout = ("Timeout", "", "timeout", "Timeout", None)
    long = "x" * MAX_KEPT_CHARACTERS
    busy = ("503", f"no capacity {long}", "busy", "503")
    status = ("503", "", "http_5xx", "503", None)
    assert described(timeout[:2]) == [timeout]
    found = described(busy[:2], timeout[:2], status[:2])
    assert found[1:] == [timeout, status]
    assert found[0][:4] == busy
    # in another order, with all of them known but for the long one
    assert described(status[:2], busy[:2], timeout[:2]) == [status, found[0], timeout]


def test_no_texts_have_no_descriptions() -> None:
    assert describe_texts(pl.DataFrame(schema=dict.fromkeys(POSTED_COLUMNS, pl.String))).schema == DESCRIBED_SCHEMA
