"""Requests and results per second that a service with its default workers handles. wrk sends them."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from benchmarks.database import RESULT, inserts_per_second
from benchmarks.figures import Figure
from benchmarks.service import MeasuredService, PlainFlask
from benchmarks.trust.processes.nginx import running_nginx
from benchmarks.trust.processes.programs import find_program
from leaderboard.results.auth import sign

GET_CONNECTIONS = 32
POSTS = ((1, 1), (8, 1), (32, 1), (4, 1000))
"""Pairs of connections and results per request."""
REGIONS = "/api/regions"


def measure_loads(service: MeasuredService, url: str, secret: str, kept_path: str, seconds: int) -> list[Figure]:
    """Figures of two kept responses, directly and through nginx, and of posts over few and many connections.

    Responses are compared with a small one of a plain Flask app, and posts with INSERTs over one connection. There
    are none where wrk is missing, and none of nginx where that is.
    """
    if shutil.which("wrk") is None:
        click.echo("wrk is not installed, so load is not measured", err=True)
        return []
    with PlainFlask(service.worker_count()) as plain:
        # a worker that still starts would answer nothing
        plain.get_from_each_worker(REGIONS)
        flask = [_wrk(plain.url + REGIONS, GET_CONNECTIONS, seconds)]
    figures = _measure_gets(service.url, "", kept_path, flask, seconds)
    if find_program("nginx"):
        with tempfile.TemporaryDirectory() as folder, running_nginx(Path(folder), service.port) as port:
            figures += _measure_gets(f"http://127.0.0.1:{port}", " through nginx", kept_path, flask, seconds)
    else:
        click.echo("nginx is not installed, so load is not measured through it", err=True)
    return figures + _measure_posts(service, url, secret, seconds)


def _measure_gets(url: str, way: str, kept_path: str, flask: list[float], seconds: int) -> list[Figure]:
    figures = []
    for name, path in (("regions", REGIONS), ("a kept day", kept_path)):
        rate = _wrk(url + path, GET_CONNECTIONS, seconds)
        figures.append(Figure(f"{name}{way}, {GET_CONNECTIONS} connections", "per second", [rate], flask, "Flask"))
    return figures


def _measure_posts(service: MeasuredService, url: str, secret: str, seconds: int) -> list[Figure]:
    figures = []
    inserts = {results: [inserts_per_second(url, results, seconds)] for results in {results for _, results in POSTS}}
    with tempfile.TemporaryDirectory() as folder:
        for connections, results in POSTS:
            script = _post_script(Path(folder), secret, results)
            rate = _wrk(f"{service.url}/api/post_stats", connections, seconds, "-s", str(script)) * results
            name = "posts of one result" if results == 1 else f"results in batches of {results:,}"
            name = f"{name}, {connections} connections"
            figures.append(Figure(name, "per second", [rate], inserts[results], "INSERT"))
    return figures


def _post_script(folder: Path, secret: str, results: int) -> Path:
    body = json.dumps(RESULT if results == 1 else [RESULT] * results)
    script = folder / f"post-{results}.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = {json.dumps(body)}\n'
        f'wrk.headers["Authorization"] = "{sign(secret, body.encode())}"\n'
    )
    return script


def _wrk(url: str, connections: int, seconds: int, *options: str) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", *options, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
    if rate is None or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return float(rate[1])
