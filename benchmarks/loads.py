"""Requests and results per second that a service with its default workers handles. wrk sends them."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks.database import RESULT, discard_new_events, inserts_per_second
from benchmarks.figures import Figure
from benchmarks.service import MeasuredService
from leaderboard.results.auth import sign

SECRET = "benchmark"
GET_CONNECTIONS = 32
POSTS = ((1, 1), (8, 1), (32, 1), (4, 1000))
"""Pairs of connections and results per request."""


def measure_loads(url: str, path: str, sql_ms: list[float], seconds: int) -> list[Figure]:
    """Figures of one cached response, whose SQL takes ``sql_ms``, and of posts over few and many connections."""
    with (
        discard_new_events(url),
        tempfile.TemporaryDirectory() as folder,
        MeasuredService(url, SECRET=SECRET) as service,
    ):
        service.get(path)
        rate = _wrk(service.url + path, GET_CONNECTIONS, seconds)
        name = f"a cached response, {GET_CONNECTIONS} connections"
        figures = [Figure(name, "per second", [rate], [1000 / milliseconds for milliseconds in sql_ms])]
        for connections, results in POSTS:
            script = _post_script(Path(folder), results)
            rate = _wrk(f"{service.url}/api/post_stats", connections, seconds, "-s", str(script)) * results
            name = "posts of one result" if results == 1 else f"results in batches of {results:,}"
            sql_rate = inserts_per_second(url, results, seconds)
            figures.append(Figure(f"{name}, {connections} connections", "per second", [rate], [sql_rate]))
    return figures


def _post_script(folder: Path, results: int) -> Path:
    body = json.dumps(RESULT if results == 1 else [RESULT] * results)
    script = folder / f"post-{results}.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = {json.dumps(body)}\n'
        f'wrk.headers["Authorization"] = "{sign(SECRET, body.encode())}"\n'
    )
    return script


def _wrk(url: str, connections: int, seconds: int, *options: str) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", *options, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
    if rate is None or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return float(rate[1])
