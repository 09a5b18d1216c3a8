"""The list of regions, and the catalyst document that adds to it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.regions import catalyst
from leaderboard.settings import Settings
from tests.conftest import SECRET, rows, sample

SEED = sample("regions-seed.json")
SITES = sample("catalysts-shape.json")
NEW = [
    {"id": "JNB", "name": "Johannesburg", "type": "transcoding"},
    {"id": "BOM", "name": "Mumbai", "type": "transcoding"},
]


class Catalyst:
    """A server of the catalyst document, which ``answer`` writes."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/catalysts.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tells(self, document: object) -> None:
        self.sends(json.dumps(document).encode())

    def sends(self, body: bytes, status: int = 200) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer


@pytest.fixture
def sites() -> Iterator[Catalyst]:
    sites = Catalyst()
    sites.tells(SITES)
    yield sites
    sites.server.shutdown()
    sites.server.server_close()


@pytest.fixture
def settings(database: str, sites: Catalyst) -> Settings:
    return Settings(postgres=database, secret=SECRET, catalyst_region_url=sites.url)


def listed(client: FlaskClient) -> list[dict[str, str]]:
    response = client.get("/api/regions")
    assert response.status_code == 200
    return response.json["regions"]


def test_the_documents_new_regions_are_added_in_upper_case_as_transcoding_regions(client: FlaskClient) -> None:
    regions = listed(client)
    assert [region for region in regions if region not in NEW] == SEED
    assert sorted(region["id"] for region in regions if region in NEW) == ["BOM", "JNB"]


def test_the_list_is_kept_and_the_document_is_asked_for_once(
    client: FlaskClient, sites: Catalyst, database: str
) -> None:
    listed(client)
    rows(database, "INSERT INTO regions (name, display_name, job_type_id) VALUES ('NEW', 'New', 1)")
    assert "NEW" not in {region["id"] for region in listed(client)}
    assert sites.asked == 1


def test_many_requests_at_once_ask_for_the_document_once(client: FlaskClient, sites: Catalyst) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.application.test_client().get("/api/regions").data, range(8)))
    assert len(set(answers)) == 1
    assert sites.asked == 1


def test_a_result_from_a_region_that_only_the_document_knows_is_taken(client: FlaskClient, post: Callable) -> None:
    assert post({"region": "JNB", "orchestrator": "0x" + "a" * 40}).status_code == 200


def test_services_that_add_the_same_regions_at_once_do_not_harm_each_other(
    settings: Settings, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    apps = [create_app(settings) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda app: app.test_client().get("/api/regions").status_code, apps))
    assert statuses == [200] * 4
    assert rows(database, "SELECT count(*) FROM regions") == [(28,)]
    assert "adds no regions" not in caplog.text
    for app in apps:
        app.extensions["leaderboard"].close()


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"prod": None},
        {"prod": {"full_name": ["nyc"]}},
        {"prod": {"full_name": {"nyc": 5}}},
        {"staging": {"full_name": {"xxx": "X"}}},
        {"prod": {"full_name": {}}},
        {"prod": {"full_name": {"": "Empty", "x" * 57: "Long", "yyy": "y" * 129, "z\0z": "NUL"}}},
    ],
)
def test_a_document_of_another_shape_adds_nothing(client: FlaskClient, sites: Catalyst, document: object) -> None:
    sites.tells(document)
    assert listed(client) == SEED


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b'{"prod": ' + b"[" * 9999, b'{"prod": {}, "x": ' + b"[" * 9999 + b"]" * 9999 + b"}"],
)
def test_a_document_that_is_no_json_adds_nothing(client: FlaskClient, sites: Catalyst, body: bytes) -> None:
    sites.sends(body)
    assert listed(client) == SEED


def test_a_document_that_is_not_there_adds_nothing(client: FlaskClient, sites: Catalyst) -> None:
    sites.sends(b"{}", status=500)
    assert listed(client) == SEED


def test_a_document_without_end_adds_nothing(client: FlaskClient, sites: Catalyst) -> None:
    sites.sends(b" " * (catalyst.LARGEST + 1))
    assert listed(client) == SEED


def test_a_server_that_is_away_adds_nothing(client: FlaskClient, sites: Catalyst) -> None:
    sites.server.shutdown()
    sites.server.server_close()
    assert listed(client) == SEED


@pytest.mark.parametrize(
    ("head", "drop", "pause"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", b" ", 30),
        (b"HTTP/1.0 200 OK\r\n\r\n", b" ", 0.02),
        (b"HTTP/1.0 200 OK\r\n", b"X", 0.02),
    ],
    ids=["slow", "drips its body", "drips its headers"],
)
def test_a_server_that_is_slow_or_drips_is_not_waited_for(
    client: FlaskClient, sites: Catalyst, monkeypatch: pytest.MonkeyPatch, head: bytes, drop: bytes, pause: float
) -> None:
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        try:
            while not ended.wait(pause):
                handler.wfile.write(drop)
        except OSError:
            pass

    sites.answer = drip
    monkeypatch.setattr(catalyst, "TIMEOUT", 0.3)
    began = time.monotonic()
    assert listed(client) == SEED
    assert time.monotonic() - began < 20
    ended.set()


def test_a_database_that_takes_no_writes_lists_what_it_has(client: FlaskClient, database: str) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    rows(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    client.application.extensions["leaderboard"].close()
    assert listed(client) == SEED
