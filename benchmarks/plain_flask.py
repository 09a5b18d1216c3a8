"""The least that a Flask app can do: one answer, of a constant. It is also gunicorn's configuration."""

from flask import Flask, Response, jsonify

worker_class = "gthread"
threads = 4
# as the service keeps connections
keepalive = 30

app = Flask(__name__)
_REGIONS = [{"id": f"R{number:02}", "name": f"Region {number}", "type": "transcoding"} for number in range(22)]
"""About as many bytes as the service's regions."""


@app.get("/api/regions")
def regions() -> Response:
    """Regions as JSON."""
    return jsonify(regions=_REGIONS)
