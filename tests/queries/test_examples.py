"""What the docstrings show is what happens."""

import doctest
import inspect
import pkgutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

import queries

MODULES = sorted(module.name for module in pkgutil.walk_packages(queries.__path__, "queries."))
QUESTIONS = (
    *(
        queries.aggregated_stats,
        queries.network_stats,
        queries.posting_stats,
        queries.job_measures,
        queries.ranking,
        queries.orchestrator_errors,
        queries.orchestrator_jobs,
    ),
    *(
        queries.service_uris,
        queries.discovery,
        queries.gateway_preview,
        queries.explanation,
        queries.daily_error_classes,
    ),
    *(queries.pipelines, queries.raw_stats, queries.score_history, queries.top_ai_score),
)


@pytest.mark.parametrize("name", ["queries", *MODULES])
def test_docstring_examples_are_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module: ModuleType = import_module(name)
    with pl.Config(tbl_width_chars=100):
        assert doctest.testmod(module, report=True).failed == 0


@pytest.mark.parametrize("question", [*QUESTIONS, queries.open_events, queries.conform], ids=lambda q: q.__name__)
def test_public_functions_have_an_example_and_types(question: object) -> None:
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(question))
    assert any(question.__name__ in example.source for example in examples)
    assert any(example.want for example in examples)
    signature = inspect.signature(question)
    types = [parameter.annotation for parameter in signature.parameters.values()]
    assert inspect.Signature.empty not in [*types, signature.return_annotation]
