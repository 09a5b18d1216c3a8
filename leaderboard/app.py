"""The app factory."""

from flask import Flask

from leaderboard import logging_config
from leaderboard.services import Service
from leaderboard.settings import Settings
from leaderboard.web import compression, cors, errors, request_body, request_log
from leaderboard.web.api import health, incidents, nodes, rankings, regions, results, scores
from leaderboard.web.caching import response_cache
from leaderboard.web.pages import registration as pages
from leaderboard.web.panics import PanicSafeFlask


def create_app(settings: Settings | None = None) -> Flask:
    """The service as a WSGI app, with the settings of the environment unless others are given.

    Raises SettingsError and EmbeddedPostgresError. The app starts without its
    database too: requests that need it get 503 until it is available, and
    ours.
    """
    settings = settings or Settings.load()
    logging_config.configure(settings.log_level)

    app = PanicSafeFlask("leaderboard", static_folder=None)
    # a path with a slash at its end is the same path, and nothing is redirected
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    request_log.init_app(app)
    response_cache.init_app(app, settings)
    compression.init_app(app)
    cors.init_app(app)
    errors.init_app(app)
    request_body.init_app(app)

    app.extensions["leaderboard"] = Service.open(settings)
    for views in (scores, rankings, nodes, results, regions, incidents, health):
        app.register_blueprint(views.bp, url_prefix="/api")
    if settings.pages:
        pages.init_app(app)
    return app
