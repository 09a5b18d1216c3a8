"""The app for a WSGI server: ``gunicorn wsgi:app``."""

from leaderboard.app import create_app

app = create_app()
