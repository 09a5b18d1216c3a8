"""Status: what works, what is wrong and what to do about it, for the operator of this service."""

from typing import Any

from flask import Response

from leaderboard.health import REMEDIES, HealthReport
from leaderboard.services import service
from leaderboard.status.setting_values import place_of
from leaderboard.web.caching.response_cache import cache_status
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.rendering import render_page
from leaderboard.web.responses import respond
from queries import LakeSnapshot, MemoryUsage

PARTS = {"postgres": "Database", "posts": "Posts", "database": "Schema", "lake": "Lake"}
"""What the parts of a report of health are called."""
SENTENCES = {
    "ok": "Everything works.",
    "degraded": "Questions are answered, but not everything works.",
    "down": "Questions cannot be answered.",
}
FROM_MEMORY = "answers come from memory and the lake, as the database is slow or has just failed"
WAIT = "Wait a moment and look again. If it stays so, look at the load of the database and at this service's log."


@bp.get("/status")
def status() -> Response:
    """The status now. It is read for each request, and does not need the database."""
    found = service().status.read()
    page = render_page(
        "status.html",
        status=found.health.status,
        sentence=SENTENCES[found.health.status],
        faults=_faults(found.health),
        refused=found.health.document["posts"].get("refused_regions", []),
        database=_database(found.health),
        lake=_lake(found.health.lake),
        lake_obstacle=service().lake_obstacle,
        memory=_memory(found.memory),
        regions=found.regions,
        workers=[worker._asdict() | {"memory": _mebibytes(worker.memory_bytes)} for worker in found.workers],
        versions=found.versions,
        settings=found.settings,
        window_hours=f"{service().settings.start_time_window:g}",
    )
    response = respond(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def _faults(health: HealthReport) -> list[dict[str, str]]:
    """What is wrong, and what to do about it. The same fault of several parts is one."""
    parts_of: dict[str, list[str]] = {}
    for part, name in PARTS.items():
        found = health.document.get(part, {})
        if sentence := found.get("error") or found.get("warning"):
            parts_of.setdefault(sentence, []).append(name)
    if not parts_of and health.status != "ok":
        parts_of[FROM_MEMORY] = ["Answers"]
    return [
        {"parts": ", ".join(parts), "sentence": sentence, "remedy": REMEDIES.get(sentence, WAIT)}
        for sentence, parts in parts_of.items()
    ]


def _database(health: HealthReport) -> dict[str, Any]:
    """Where the database is, and what it is; without its user and password."""
    url, settings = service().settings.postgres, service().settings
    return {
        "place": f"embedded PostgreSQL in {settings.data_dir}" if url is None else place_of(url),
        "is_available": health.document["postgres"]["ok"],
        "role": health.document.get("database", {}).get("role"),
        "replayed_until": health.facts.replayed_until if health.facts else None,
        "takes_posts": health.document["posts"]["ok"],
        "has_secret": settings.secret is not None,
        "connections": settings.db_connections,
    }


def _memory(memory: MemoryUsage | None) -> dict[str, Any]:
    """What this worker keeps: results, and rendered answers."""
    cache = cache_status()
    return {
        "results": memory,
        "results_size": "" if memory is None else _mebibytes(memory.bytes),
        "answers": cache.entries,
        "answers_size": "" if cache.bytes is None else _mebibytes(cache.bytes),
        "shares_answers": cache.entries is None and service().settings.cache_type != "NullCache",
        "cache_fails": cache.is_failing,
    }


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def _lake(snapshot: LakeSnapshot | None) -> dict[str, Any] | None:
    """What the newest version of the lake has, or None where there is no lake or it cannot be read."""
    if snapshot is None:
        return None
    return {
        "version": snapshot.version,
        "synced_percent": snapshot.synced_percent,
        "as_of": snapshot.as_of,
        "events": int(snapshot.files["events"].sum()),
        "files": snapshot.files.height,
        "size": _mebibytes(int(snapshot.files["bytes"].sum())),
        "sync_interval": service().settings.lake_sync_interval,
    }
