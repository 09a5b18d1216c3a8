"""The tables of the formulas, with the constants that the code has."""

import re

from docs.markdown import table
from queries import FORMULA_2, FORMULAS, Formula

_FIELD = re.compile(r"^    - (?P<names>``.+?``): (?P<meaning>.+?)(?=^    - |^\s*$|\Z)", re.MULTILINE | re.DOTALL)
_YES_AND_NO = {True: "yes", False: "no"}


def table_of_scores() -> str:
    """How the means of each kind of job become scores, by the newest formula."""
    weighted = f"{FORMULA_2.success_weight:g}·s + {FORMULA_2.round_trip_weight:g}·round_trip_score"
    rows = [
        ("transcoding", "1 − e^(−d/t), or 0 where t = 0", "s · round_trip_score"),
        ("AI", f"e^(−k·t) with k = −ln({FORMULA_2.score_at_median:g}) / m, or 0 where there is no m", weighted),
        ("live video", "q, or 0 where no result tells it", weighted),
    ]
    return table(("job", "round_trip_score", "score"), rows)


def table_of_formulas() -> str:
    """The values of each released formula, and what they mean."""
    values = [formula.as_dict() for formula in FORMULAS.values()]
    meanings = _meanings()
    rows = [
        (f"`{name}`", meanings[name], *(_show(formula[name]) for formula in values))
        for name in FORMULA_2.as_dict()
        if name != "name"
    ]
    return table(("value", "meaning", *(f"formula {number}" for number in FORMULAS)), rows)


def _meanings() -> dict[str, str]:
    """The field's names, and what the docstring says about each."""
    found = {}
    for field in _FIELD.finditer(Formula.__doc__ or ""):
        for name in re.findall("``(.+?)``", field["names"]):
            found[name] = field["meaning"].replace("``", "`")
    return found


def _show(value: object) -> str:
    if value is None:
        return "none"
    return _YES_AND_NO[value] if isinstance(value, bool) else f"{value:g}"
