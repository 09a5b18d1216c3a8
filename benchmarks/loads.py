"""How much a running service takes, driven by wrk."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from leaderboard.results.auth import sign

RESULT = {
    "region": "FRA",
    "orchestrator": "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7",
    "success_rate": 1.0,
    "round_trip_time": 0.717426,
    "seg_duration": 2.0,
    "segments_sent": 15,
    "segments_received": 15,
    "upload_time": 0.102,
    "download_time": 0.088,
    "transcode_time": 0.315,
    "errors": [],
    "timestamp": 1_788_000_000,
}
POSTS = {1: 1, 8: 1, 32: 1, 4: 1000}
"""Connections to results in one body."""


def loads(url: str, secret: str, path: str, folder: Path, seconds: int) -> list[dict[str, Any]]:
    """Requests or results per second: of one kept answer, and of posts by one to many connections."""
    gets = {"load": "the same answer again", "connections": 32, "per_second": _wrk(url + path, 32, seconds)}
    figures = [gets]
    for connections, results in POSTS.items():
        body = json.dumps(RESULT if results == 1 else [RESULT] * results)
        script = folder / f"post-{results}.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = {json.dumps(body)}\n'
            f'wrk.headers["Authorization"] = "{sign(secret, body.encode())}"\n'
        )
        rate = _wrk(f"{url}/api/post_stats", connections, seconds, "-s", str(script))
        name = "posts of one result" if results == 1 else f"results in batches of {results:,}"
        figures.append({"load": name, "connections": connections, "per_second": rate * results})
    return figures


def _wrk(url: str, connections: int, seconds: int, *options: str) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", *options, url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(printed)
    return float(re.search(r"Requests/sec:\s*([\d.]+)", printed)[1])
