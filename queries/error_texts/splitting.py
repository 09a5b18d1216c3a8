"""The errors of a result as a list, one element per error."""

import polars as pl

MAX_DEPTH = 8
"""Levels of objects in an error. What follows a deeper one in its list is cut off with it."""

_STRING = r'"(?:[^"\\]|\\.)*"'


def _json_object(depth: int) -> str:
    """The regular expression of a JSON object with so many levels of objects."""
    inner = f"|{_json_object(depth - 1)}" if depth > 1 else ""
    return rf'\{{(?:{_STRING}|[^{{}}"]{inner})*\}}'


# the last alternative keeps the inner objects of one that is too deep from being taken for errors
_ELEMENT = rf"(?s){_json_object(MAX_DEPTH)}|{_STRING}|\{{.*"


def split_errors(payload: pl.Expr) -> pl.Expr:
    """The errors of each posted result: a list of JSON objects (List(String)), in the order of the result.

    ``payload`` is the result as JSON text. Elements of ``errors`` that are no
    objects are left out. Null where the result has no list of errors.

    >>> results = pl.DataFrame({"payload": ['{"errors": [{"error_code": "Timeout"}, 5]}', "{}"]})
    >>> results.select(split_errors(pl.col("payload"))).to_series().to_list()
    [['{"error_code":"Timeout"}'], None]
    """
    return split_list(payload.str.json_path_match("$.errors"))


def split_list(errors: pl.Expr) -> pl.Expr:
    """The errors of each result as ``split_errors`` returns them, from ``errors``: its list of errors as JSON text."""
    is_object = pl.element().str.starts_with("{")
    objects = errors.str.extract_all(_ELEMENT).list.eval(pl.element().filter(is_object))
    return pl.when(errors.str.starts_with("[")).then(objects)
