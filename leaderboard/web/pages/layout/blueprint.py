"""The blueprint to which every page adds its view."""

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from leaderboard.web.pages.layout.frame import frame_values
from leaderboard.web.pages.layout.headers import secure

bp = Blueprint("pages", "leaderboard.web.pages", template_folder="templates")

bp.after_request(secure)
bp.context_processor(frame_values)


@bp.before_request
def drop_empty_parameters() -> BaseResponse | None:
    """Leads from the URL of a form that was sent without JavaScript to the short one that people share."""
    parts = request.query_string.decode("latin-1").split("&")
    given = [part for part in parts if part.partition("=")[2]]
    if not request.query_string or given == parts:
        return None
    path = request.script_root + request.path
    return redirect(f"{path}?{'&'.join(given)}" if given else path, 302, Response)
