"""The jobs and nodes of an orchestrator are those that all events of the window give."""

from dataclasses import replace
from datetime import timedelta

import pytest
from polars.testing import assert_frame_equal

from leaderboard.web.windows import OrchestratorTables
from queries import (
    FORMULA_1,
    FORMULA_2,
    EventFilter,
    EventPart,
    EventWindow,
    Formula,
    orchestrator_jobs,
    sample_data,
    service_uris,
)

HALF_LIFE = replace(FORMULA_2, name="half-life", half_life=timedelta(hours=6))
RARE = replace(FORMULA_2, name="rare", min_events=3)


@pytest.mark.parametrize("formula", [FORMULA_1, FORMULA_2, HALF_LIFE, RARE], ids=lambda formula: formula.name)
@pytest.mark.parametrize("warm", [None, True])
@pytest.mark.parametrize("orchestrator", ["0xaa", "0xbb", "0xnobody"])
def test_tables_are_those_of_all_events(orchestrator: str, warm: bool | None, formula: Formula) -> None:
    events = sample_data.events()
    window = EventWindow(None, lambda: [EventPart(events.head(4)), EventPart(events.slice(4))])
    event_filter = EventFilter(orchestrator=orchestrator, warm=warm)
    tables = OrchestratorTables(window, event_filter, formula)
    assert_frame_equal(tables.jobs(), orchestrator_jobs(events, event_filter, formula=formula), abs_tol=1e-9)
    assert_frame_equal(tables.nodes(), service_uris(events, event_filter, formula=formula), abs_tol=1e-9)
