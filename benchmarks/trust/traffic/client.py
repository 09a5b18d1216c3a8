"""A client that keeps its connection, and knows which answers are allowed."""

import http.client
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MAX_ANSWER_SECONDS = 60.0
"""A request that is not answered by then counts as one that hangs."""


class BrokenConnection(Exception):
    """The connection broke before the answer was complete.

    ``was_sent`` is False where the service cannot have seen the request.
    """

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class Hang(BrokenConnection):
    """There was no answer within MAX_ANSWER_SECONDS."""


@dataclass(frozen=True)
class Answer:
    """A complete answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    sent_at: float
    """Unix seconds."""
    seconds: float

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def complete_until(self) -> float:
        """The moment up to which the answer must have every result, in unix seconds."""
        as_of = self.headers.get("X-Data-As-Of")
        return self.sent_at if as_of is None else min(self.sent_at, datetime.fromisoformat(as_of).timestamp())

    def fault(self) -> str | None:
        """What is wrong with the answer by the contract that every endpoint keeps, or None."""
        if self.status >= 400 and not _is_error_body(self.body):
            return f"status {self.status} without an error sentence: {self.body[:200]!r}"
        if self.status == 503 and not self.headers.get("Retry-After", "").isdigit():
            return "status 503 without Retry-After"
        return None


class Client:
    """Sends requests to ``host:port`` over one connection. One thread at a time may use it."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=MAX_ANSWER_SECONDS)

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Sends a request and reads the whole answer. Raises BrokenConnection."""
        connection, sent_at, began = self._connection, time.time(), time.monotonic()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError as error:
            self.close()
            raise BrokenConnection(str(error), was_sent=False) from error
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except TimeoutError as error:
            self.close()
            raise Hang(f"{method} {path} had no answer for {MAX_ANSWER_SECONDS:g} s", was_sent=True) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise BrokenConnection(repr(error), was_sent=True) from error
        return Answer(response.status, response.headers, content, sent_at, time.monotonic() - began)

    def close(self) -> None:
        """Closes the connection. The next request opens a new one."""
        self._connection.close()


def _is_error_body(body: bytes) -> bool:
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document.get("error") or document.get("status"), str)
