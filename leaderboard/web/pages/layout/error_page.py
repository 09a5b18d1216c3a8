"""The page that says what went wrong, for browsers that asked for a page."""

from flask import Request, Response, current_app, render_template

from leaderboard.web.pages.layout.frame import frame_values
from leaderboard.web.pages.layout.headers import secure

_TITLES = {
    400: "This cannot be asked",
    404: "Not found",
    503: "Not available at the moment",
    504: "Not answered in time",
}


def wants_page(request: Request) -> bool:
    """Whether an error of this request is shown as a page: a page failed, or a browser asked for an unknown path."""
    if request.blueprint == "pages":
        return True
    is_outside_api = request.path.split("/")[1] != "api" and "pages" in current_app.blueprints
    return is_outside_api and "text/html" in request.headers.get("Accept", "")


def error_page(status: int, sentence: str) -> Response:
    """The page about an error."""
    title = _TITLES.get(status, "Something went wrong")
    body = render_template("error.html", title=title, sentence=sentence, status=status, **frame_values())
    return secure(Response(body, status, {"Cache-Control": "no-store"}, "text/html"))
