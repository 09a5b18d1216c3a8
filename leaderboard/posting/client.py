"""Sends signed batches of results to a service, and says what became of each one.

Two kinds of failure must not be confused. If no whole request reached the
service, or the service itself answers 503, nothing was stored and the batch
can be sent again. If the answer is lost after the request, or anything else
answers in place of the service, the batch may have been stored: sending it
again might store its results twice. A batch counts as stored only where the
service says "ok", so not where a proxy shows a page of its own.
"""

import http.client
import json
import re
import socket
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from leaderboard.results.auth import sign
from leaderboard.results.batches import NDJSON
from queries.concurrency import call_with_timeout
from queries.errors import StoreTimeout

ANSWER_TIMEOUT_SECONDS = 60.0
MAX_SENTENCE_BYTES = 1 << 16
STORED_ANSWERS = (b"ok", b"kept")
NOT_RECEIVED_STATUS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
"""Statuses of a server that has not passed the request on."""
INVALID_STATUS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

_RESULT_REFUSED = re.compile(r"results\[(\d+)\]:? *(.*)", re.DOTALL)


class PostError(Exception):
    """The service did not confirm a batch. The message says why. ``retry_after`` is its advice in seconds, or 0."""

    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class ResultRefused(PostError):
    """The service refused the batch because of the result at ``index``, and stored nothing of it."""

    def __init__(self, index: int, sentence: str) -> None:
        super().__init__(sentence)
        self.index = index


class BatchRefused(PostError):
    """The service refused the batch without naming a result, and stored nothing of it."""


class ServiceRefused(PostError):
    """The service accepts no batch at all, for example because of a wrong signature or URL."""


class ServiceUnavailable(PostError):
    """The service cannot accept results now, and stored nothing."""


class OutcomeUnknown(PostError):
    """The batch may have been stored or not."""


class Client:
    """Posts to the service at a URL such as ``http://127.0.0.1:8080``. Raises ValueError for another kind of URL.

    ``timeout`` is the limit for one batch in seconds.
    """

    def __init__(self, url: str, secret: str, timeout: float = ANSWER_TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        # reading the port raises ValueError where it is not a number
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"must be a URL such as http://127.0.0.1:8080, not {url!r}")
        self._endpoint = f"{url.rstrip('/')}/api/post_stats"
        self._secret = secret
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def post(self, bodies: list[bytes]) -> None:
        """Returns when the service has confirmed all of these results, none of which has a line break.

        Raises PostError.
        """
        body = b"\n".join(bodies)
        headers = {"Authorization": sign(self._secret, body), "Content-Type": NDJSON}
        request = urllib.request.Request(self._endpoint, body, headers)
        try:
            # urllib's own limit begins again with each byte
            call_with_timeout(self._timeout, self._send, request, len(bodies))
        except StoreTimeout as error:
            raise OutcomeUnknown(f"no answer within {self._timeout:g} s") from error

    def _send(self, request: urllib.request.Request, count: int) -> None:
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                _check_stored(response)
        except urllib.error.HTTPError as error:
            with error:
                raise _read_refusal(error, count) from error
        except urllib.error.URLError as error:
            # urllib raises it before the whole request has been sent, but not while it waits for the answer
            raise _read_connection_error(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise OutcomeUnknown(
                f"the connection was lost before the answer: {str(error) or type(error).__name__}"
            ) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would send a GET to the new address, whose page would look like success."""

    def redirect_request(self, *_: Any) -> None:
        """No request, so that the redirect counts as an error."""


def _check_stored(response: http.client.HTTPResponse) -> None:
    text = response.read(MAX_SENTENCE_BYTES).strip()
    if not text:
        raise OutcomeUnknown("the connection was lost within the answer")
    if text not in STORED_ANSWERS:
        raise ServiceRefused(f"the answer {response.status} is not that of a leaderboard service; check the URL")


def _read_connection_error(error: urllib.error.URLError) -> PostError:
    reason = error.reason
    unknown_host = isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME
    if unknown_host or isinstance(reason, (str, ssl.SSLCertVerificationError)):
        return ServiceRefused(getattr(reason, "strerror", None) or str(reason))
    return ServiceUnavailable(getattr(reason, "strerror", None) or str(reason))


def _read_refusal(response: urllib.error.HTTPError, count: int) -> PostError:
    own_sentence = _read_sentence(response)
    sentence, is_own = own_sentence or f"{response.code} {response.reason}", own_sentence is not None
    if response.code in NOT_RECEIVED_STATUS or (response.code == HTTPStatus.SERVICE_UNAVAILABLE and is_own):
        return ServiceUnavailable(sentence, _retry_after(response))
    if response.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return OutcomeUnknown(f"{response.code}: {sentence}", _retry_after(response))
    if 300 <= response.code < 400:
        return ServiceRefused(f"the service redirects to {response.headers.get('Location')}; use that URL")
    if response.code not in INVALID_STATUS:
        return ServiceRefused(sentence)
    if (match := _RESULT_REFUSED.match(sentence)) and int(match[1]) < count:
        return ResultRefused(int(match[1]), match[2])
    return ResultRefused(0, sentence) if count == 1 else BatchRefused(sentence)


def _read_sentence(response: urllib.error.HTTPError) -> str | None:
    try:
        return str(json.loads(response.read(MAX_SENTENCE_BYTES))["error"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None


def _retry_after(response: urllib.error.HTTPError) -> float:
    text = response.headers.get("Retry-After", "")
    # a date is legal as well; our own pause does for it
    return float(text) if text.isdecimal() else 0.0
