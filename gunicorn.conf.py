from leaderboard.gunicorn_conf import *  # noqa: F403
