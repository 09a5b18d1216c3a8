"""``python -P -m leaderboard.server``: gunicorn with the service, whatever folder it starts in."""

import os
import sys

from gunicorn.app.wsgiapp import WSGIApplication

CONFIG = ["-c", "python:leaderboard.gunicorn_conf"]


class Application(WSGIApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's application. It imports nothing from the current folder."""

    def chdir(self) -> None:
        """Enters the configured folder. gunicorn would also import modules from it."""
        os.chdir(self.cfg.chdir)


if __name__ == "__main__":
    sys.argv[1:] = [*CONFIG, *sys.argv[1:], "leaderboard.app:create_app()"]
    Application("%(prog)s [OPTIONS]", prog="leaderboard serve").run()
