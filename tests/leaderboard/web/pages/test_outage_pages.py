"""The pages during an outage of the database."""

import pytest

from tests.support.endpoints import RESULT
from tests.support.postgres import StoppablePostgres
from tests.support.service import ONE_WORKER, RunningService

pytestmark = pytest.mark.slow

BANNER = b"The database is not available or lags behind."


def test_page_shows_what_is_known_and_how_old_it_is(stoppable_postgres: StoppablePostgres) -> None:
    with RunningService({"POSTGRES": stoppable_postgres.url}, ONE_WORKER) as service:
        assert service.post(RESULT).status == 200
        # the day is in memory then; the day before and the week of incidents are not
        assert service.get("/api/aggregated_stats").status == 200

        stoppable_postgres.stop()
        page = service.get("/?min_events=0")
        assert page.status == 200
        assert page.headers["X-Data-As-Of"]
        assert BANNER in page.body
        assert RESULT["orchestrator"].encode() in page.body
        unknown = service.get("/?since=2020-01-01")
        assert (unknown.status, unknown.headers.get_content_type()) == (503, "text/html")
        assert b"the database is not available, try again later" in unknown.body

        stoppable_postgres.start()
        page = service.get("/?min_events=0")
        assert page.status == 200
        assert BANNER not in page.body
