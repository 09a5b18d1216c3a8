"""The style sheet, the scripts and the pictures of the pages, read once and served from memory."""

from functools import cache
from hashlib import blake2b
from importlib.resources import files
from mimetypes import guess_type
from typing import NamedTuple

from flask import Flask, Response, abort, request, url_for

from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import Format
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.responses import respond

VERSIONED_CACHE_CONTROL = "public, max-age=31536000, immutable"
UNVERSIONED_CACHE_CONTROL = "public, max-age=300"


class Asset(NamedTuple):
    """A static file. ``version`` is a hash of its content, which its URL carries."""

    content: bytes
    media_type: str
    version: str


def init_app(app: Flask) -> None:
    """Gives templates ``asset_url(name)``."""
    app.jinja_env.globals["asset_url"] = asset_url


def asset_url(name: str) -> str:
    """The URL of a static file, which changes with its content."""
    return url_for("pages.static", name=name, v=_assets()[name].version)


@bp.get("/static/<name>")
def static(name: str) -> Response:
    """One of the static files."""
    asset = _assets().get(name) or abort(404)
    response = respond(RenderedResponse(asset.content, asset.version, Format(name, asset.media_type)))
    # while releases are exchanged, another one's page may ask for a version that this one does not have
    is_asked_version = request.args.get("v") == asset.version
    response.headers["Cache-Control"] = VERSIONED_CACHE_CONTROL if is_asked_version else UNVERSIONED_CACHE_CONTROL
    return response


@cache
def _assets() -> dict[str, Asset]:
    folder = files("leaderboard.web.pages") / "static"
    return {entry.name: _asset(entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}


def _asset(name: str, content: bytes) -> Asset:
    media_type = guess_type(name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return Asset(content, media_type + charset, blake2b(content, digest_size=8).hexdigest())
