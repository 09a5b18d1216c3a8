"""What a WSGI server serves: ``gunicorn wsgi:app``."""

from leaderboard.app import create_app

app = create_app()
