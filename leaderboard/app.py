"""The app factory."""

from flask import Flask

from leaderboard import logging_config
from leaderboard.results.batches import MAX_BATCH
from leaderboard.services import Service
from leaderboard.settings import Settings
from leaderboard.web import cache, compression, cors, errors, request_log
from leaderboard.web.api import rankings, regions, results, scores


def create_app(settings: Settings | None = None) -> Flask:
    """The service as a WSGI app, with the settings of the environment unless others are given.

    Raises SettingsError, EmbeddedPostgresError and MigrationError. A database
    that is away does not stop the start: requests are answered 503 until it
    is back.
    """
    settings = settings or Settings.load()
    logging_config.configure(settings.log_level)

    app = Flask("leaderboard", static_folder=None)
    # a body in chunks is cut off here, so that one byte more shows that it is too large
    app.config["MAX_CONTENT_LENGTH"] = MAX_BATCH + 1
    # every path is one with and without a slash at its end, and none is redirected
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    request_log.init_app(app)
    cache.init_app(app, settings)
    compression.init_app(app)
    cors.init_app(app)
    errors.init_app(app)

    app.extensions["leaderboard"] = Service.open(settings)
    for views in (scores, rankings, results, regions):
        app.register_blueprint(views.bp, url_prefix="/api")
    return app
