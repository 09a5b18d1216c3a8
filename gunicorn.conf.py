"""The configuration that gunicorn reads when it starts in this folder; see leaderboard/gunicorn_conf.py."""

from leaderboard.gunicorn_conf import *  # noqa: F403
