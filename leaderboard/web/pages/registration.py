"""Adds the pages to an app."""

from flask import Flask
from jinja2 import StrictUndefined

# each of them adds its view to the blueprint
from leaderboard.web.pages import compare, formulas, gateway, models, network, orchestrator, ranking, status  # noqa: F401
from leaderboard.web.pages.layout import assets, formats, headers
from leaderboard.web.pages.layout.blueprint import bp


def init_app(app: Flask) -> None:
    """Serves the pages, and follows the path under which a proxy serves them."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    formats.init_app(app)
    assets.init_app(app)
    app.register_blueprint(bp)
    headers.follow_prefix(app)
