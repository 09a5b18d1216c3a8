"""What trials run over: a service with a database of its own, and what stands between them and their clients."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from benchmarks.trust.processes.database import EmbeddedDatabase, TrialDatabase
from benchmarks.trust.processes.disk import SmallDisk
from benchmarks.trust.processes.nginx import running_nginx
from benchmarks.trust.processes.pgbouncer import TrialPooler
from benchmarks.trust.processes.service import LEADERBOARD, TrialService
from benchmarks.trust.traffic.subjects import Subject
from leaderboard.postgres.migrations import migrate

DATABASES = ("direct", "pooled", "embedded")
SMALL_DISK_MIB = 400
LAKE_SYNC_SECONDS = 3
LARGE_SUBJECT = Subject(10**9, is_ai=False, batch_results=1)
LARGE_ANSWER = f"/api/raw_stats?orchestrator={LARGE_SUBJECT.address}"
LARGE_ANSWER_RESULTS = 50_000
"""About 14 MB of JSON."""


@dataclass(frozen=True)
class Setup:
    """The service on trial and its database. ``disk`` is None where none could be mounted."""

    service: TrialService
    database: EmbeddedDatabase
    disk: SmallDisk | None
    port: int
    """Where clients connect: the service's port, or that of the proxy before it."""


@contextmanager
def running(
    log: Path | None, *, results: int = 0, large_answer: bool = False, database: str = "direct", proxied: bool = False
) -> Iterator[Setup]:
    """A service over a new database with so many simulated results, until the end of the ``with`` statement.

    ``database`` is one of DATABASES: the service reaches it directly or through PgBouncer, or runs it itself.
    The last has no simulated results. With ``proxied``, clients reach the service through nginx.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leaderboard-trust-")))
        folder.chmod(0o755)
        # a large database would need a larger disk, and no trial of it fills that
        small = not results and not large_answer
        disk = stack.enter_context(SmallDisk.mounted(folder / "disk", SMALL_DISK_MIB)) if small else None
        data_dir = folder / "disk" / "data"
        if database == "embedded":
            server = EmbeddedDatabase(data_dir)
        else:
            pooler = TrialPooler(folder / "pooler", data_dir / "postgres") if database == "pooled" else None
            server = stack.enter_context(TrialDatabase(data_dir).running(pooler))
        if results:
            command = [LEADERBOARD, "simulate", str(results)]
            subprocess.run(command, env=TrialService.environment(POSTGRES=server.direct_url), check=True)
        if large_answer:
            _store_large_answer(server.direct_url)
        settings = {
            **({"POSTGRES": server.url} if isinstance(server, TrialDatabase) else {"DATA_DIR": str(data_dir)}),
            "LAKE_URL": str(folder / "lake"),
            "LAKE_SYNC_INTERVAL": str(LAKE_SYNC_SECONDS),
            # an answer of a minute ago would not agree with the ledger
            "PIPELINES_CACHE_TIMEOUT": "0",
        }
        service = TrialService(settings, log or folder / "service.log")
        port = stack.enter_context(service.running()).port
        if proxied:
            (folder / "nginx").mkdir()
            port = stack.enter_context(running_nginx(folder / "nginx", port))
        yield Setup(service, server, disk, port)


def _store_large_answer(url: str) -> None:
    """Stores results of LARGE_SUBJECT, as many as make an answer of 14 MB."""
    migrate(url, 60)
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events (event_time, orchestrator, region_id, payload) SELECT now(), %s, "
            "(SELECT min(id) FROM regions WHERE name = 'FRA'), %s::jsonb FROM generate_series(1, %s)",
            (LARGE_SUBJECT.address, json.dumps(LARGE_SUBJECT.result(1)), LARGE_ANSWER_RESULTS),
        )
