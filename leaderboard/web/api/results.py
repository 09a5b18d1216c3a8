"""Where testers post their results."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from leaderboard.results import batches, writer
from leaderboard.results.batches import MAX_BATCH
from leaderboard.results.validation import MAX_BODY, InvalidResult
from leaderboard.services import service

bp = Blueprint("posting", __name__)


@bp.post("/post_stats")
def post_stats() -> Response:
    """Stores one signed result, or a batch of them; they are committed before the answer is given."""
    body = _body()
    writer.authenticate(service().settings.secret, body, request.headers.get("Authorization", ""))
    if (results := batches.split(body, request.mimetype)) is None:
        service().ingest.store(_one(body))
    else:
        service().ingest.store_batch(results)
    return Response("ok", mimetype="text/plain")


def _body() -> bytes:
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    # each WSGI server has errors of its own for a body that breaks off
    except Exception as error:
        raise InvalidResult("the body did not arrive whole") from error
    if len(body) > MAX_BATCH:
        raise RequestEntityTooLarge
    return body


def _one(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise RequestEntityTooLarge(f"a result is larger than {MAX_BODY} bytes")
    return body
