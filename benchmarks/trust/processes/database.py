"""The database on trial, which is killed, stopped, frozen, locked and cut off."""

import contextlib
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg2

from benchmarks.trust.processes.pgbouncer import TrialPooler
from benchmarks.trust.processes.service import TrialError, wait_for
from benchmarks.trust.processes.tcp_proxy import TcpProxy
from benchmarks.trust.traffic.subjects import NUMBER_FIELD
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.errors import EmbeddedPostgresError

_BACKENDS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


class EmbeddedDatabase:
    """The PostgreSQL in ``data_dir``, which the service itself starts, and starts again where it has ended."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._postgres = EmbeddedPostgres(data_dir)

    @property
    def direct_url(self) -> str:
        """Its URL, with nothing in between."""
        return self._postgres.url

    def start(self) -> None:
        """Returns when the server runs again."""
        wait_for(self.is_running, "the service does not start its database again")

    def kill(self) -> None:
        """Sends SIGKILL to the postmaster, and starts the server again."""
        self._end(signal.SIGKILL)
        self.start()

    def kill_backend(self) -> None:
        """Sends SIGKILL to a process that serves a connection. PostgreSQL ends all others, and recovers."""
        pids = [pid for (pid,) in self.rows(f"SELECT pid {_BACKENDS} LIMIT 1")]
        for pid in pids:
            psutil.Process(pid).kill()

    def stop(self) -> None:
        """Shuts the server down, without waiting for clients."""
        self._end(signal.SIGINT)

    def terminate_connections(self) -> None:
        """Ends the sessions of all clients with pg_terminate_backend."""
        self.rows(f"SELECT pg_terminate_backend(pid) {_BACKENDS}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the lock that a plain CREATE INDEX takes, which keeps writers out."""
        with closing(psycopg2.connect(self.direct_url)) as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events IN SHARE MODE")
            yield

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspends all processes of the server."""
        postmaster = self._postmaster()
        postmaster.suspend()
        processes = [postmaster, *postmaster.children()]
        try:
            for process in processes[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in reversed(processes):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def is_running(self) -> bool:
        """Whether the server accepts connections."""
        try:
            self.rows("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def rows(self, statement: str) -> list[tuple[int, ...]]:
        """The rows of a statement, over a connection of its own that nothing cuts."""
        with closing(psycopg2.connect(self.direct_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()

    def stored(self) -> list[tuple[str, int]]:
        """The orchestrator and the ledger's number of each event; -1 where it has none."""
        with closing(psycopg2.connect(self.direct_url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT orchestrator, coalesce((payload->>'{NUMBER_FIELD}')::int, -1) FROM events")
            return cursor.fetchall()

    def connections(self) -> int:
        """How many clients are connected."""
        return self.rows(f"SELECT count(*) {_BACKENDS}")[0][0]

    def _end(self, number: int) -> None:
        postmaster = self._postmaster()
        processes = [postmaster, *postmaster.children(recursive=True)]
        postmaster.send_signal(number)
        wait_for(lambda: not any(_is_alive(process) for process in processes), "the database does not end")

    def _postmaster(self) -> psutil.Process:
        file = self.data_dir / "postgres" / "postmaster.pid"
        return psutil.Process(int(file.read_text().splitlines()[0]))


class TrialDatabase(EmbeddedDatabase):
    """A PostgreSQL of the trial's own in ``data_dir``, reached through a proxy that can cut connections."""

    @contextmanager
    def running(self, pooler: TrialPooler | None = None) -> Iterator["TrialDatabase"]:
        """Runs it until the end of the ``with`` statement. With a pooler, the service's connections go through that."""
        self._postgres.acquire()
        self.pooler = pooler
        try:
            with ExitStack() as stack:
                if pooler:
                    stack.enter_context(pooler.running())
                target = pooler.socket if pooler else self.data_dir / "postgres" / ".s.PGSQL.5432"
                self.proxy = stack.enter_context(TcpProxy(target).running())
                yield self
        finally:
            self._postgres.release()

    def start(self) -> None:
        """Starts the server."""
        again = EmbeddedPostgres(self.data_dir)
        try:
            again.acquire()
        except EmbeddedPostgresError as error:
            raise TrialError(f"the database does not start again: {error}") from error
        again.release()

    @property
    def url(self) -> str:
        """Its URL through the proxy."""
        parts = urlsplit(self.direct_url)
        return urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{self.proxy.port}", query="sslmode=disable"))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
