"""since and until over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import clone, load_events
from tests.support.endpoints import ADDRESS
from tests.support.results import transcoding_event

MIDNIGHT = datetime(2026, 9, 14, tzinfo=UTC).timestamp()
OTHER_ADDRESS = "0x" + "c" * 40
ENDPOINTS = (
    *("aggregated_stats", "pipelines", f"raw_stats?orchestrator={ADDRESS}"),
    *("score_history", "leaderboard", f"orchestrators/{ADDRESS}"),
)


@pytest.fixture(scope="module")
def client(server: str, template: str) -> Iterator[FlaskClient]:
    """The client of one service for all tests, as none of them writes."""
    url = clone(server, template, "moments")
    before, after = MIDNIGHT - 0.001, MIDNIGHT + 0.001
    load_events(
        url,
        [transcoding_event(before, ADDRESS), *(transcoding_event(at, OTHER_ADDRESS) for at in (MIDNIGHT, after))],
    )
    app = create_app(Settings(lake_sync_interval=0, postgres=url))
    yield app.test_client()
    app.extensions["leaderboard"].close()


def path_with(endpoint: str, query: str) -> str:
    return f"/api/{endpoint}{'&' if '?' in endpoint else '?'}{query}"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("value", ["abc", "nan", "1790000000000", "2026-13-01", "2026-9-14"])
def test_invalid_moment_is_a_400_that_names_the_parameter(
    recorded: FlaskClient, endpoint: str, name: str, value: str
) -> None:
    response = recorded.get(path_with(endpoint, f"{name}={value}"))
    assert response.status_code == 400
    assert response.json["error"].startswith(f"{name} must be")


@pytest.mark.parametrize("name", ["since", "until"])
def test_error_lists_the_three_forms_of_a_moment(recorded: FlaskClient, name: str) -> None:
    assert recorded.get(f"/api/aggregated_stats?{name}=yesterday").json == {
        "error": f"{name} must be unix seconds (1789371400), RFC 3339 (2026-09-14T07:36:40Z) or a date (2026-09-14), "
        "not 'yesterday'"
    }


class TestDate:
    """A date is its UTC midnight."""

    def test_since_a_date_includes_midnight_and_what_follows(self, client: FlaskClient) -> None:
        (row,) = client.get("/api/leaderboard?since=2026-09-14").json["leaderboard"]
        assert (row["orchestrator"], row["events"]) == (OTHER_ADDRESS, 2)

    def test_until_a_date_includes_midnight_and_what_is_before(self, client: FlaskClient) -> None:
        rows = client.get("/api/leaderboard?until=2026-09-14").json["leaderboard"]
        assert {row["orchestrator"]: row["events"] for row in rows} == {ADDRESS.lower(): 1, OTHER_ADDRESS: 1}

    @pytest.mark.parametrize("midnight", [f"{MIDNIGHT:.0f}", "2026-09-14T00:00:00Z", "2026-09-14T02:00:00%2B02:00"])
    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    @pytest.mark.parametrize("name", ["since", "until"])
    def test_every_spelling_of_midnight_is_one_moment(
        self, client: FlaskClient, endpoint: str, name: str, midnight: str
    ) -> None:
        by_date = client.get(path_with(endpoint, f"{name}=2026-09-14"))
        assert by_date.status_code == 200
        assert client.get(path_with(endpoint, f"{name}={midnight}")).json == by_date.json
