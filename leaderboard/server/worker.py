"""gunicorn's threaded worker, in which slow clients occupy no threads.

The main loop receives requests and sends what clients do not take at once. A
thread gets a request when it is complete and admitted, and is free again when
the response is computed.
"""

import logging
import select
import selectors
import signal
import sys
import time
from functools import partial
from typing import Any

import gunicorn.http.wsgi
import gunicorn.util
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from leaderboard.server.admission import Admission
from leaderboard.server.clients import Clients
from leaderboard.server.connection import Connection, State
from leaderboard.server.error_responses import error_response
from leaderboard.server.limits import ClientLimits
from leaderboard.server.parent import is_orphan, request_signal_at_death_of_parent
from leaderboard.server.supervisor import SHORT_INTERVAL_SECONDS, Supervisor
from leaderboard.server.threads import DaemonThreads, MainLoopCalls
from leaderboard.settings import Settings

ACCEPT_PAUSE_SECONDS = 0.05
"""A worker without free threads for some kind accepts what no free worker has accepted for this long."""
MAX_ACCEPTS_AT_ONCE = 500
"""Of a busy worker. Fewer would keep quick requests waiting behind others that are only refused."""
MAX_ERROR_CHARACTERS = 200
SWITCH_SECONDS = 0.0005
"""How long a thread may compute while another one waits for Python's interpreter. With the usual 5 ms, the main loop
waits longer for its turn than most requests take."""
MAX_JOINED_BYTES = 60 << 10
"""A longer first piece of a body is sent by itself, since joining it to the head would copy it."""


class Response(gunicorn.http.wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's response, without the header that names gunicorn."""

    headers_sent: bool
    _unsent_head = b""

    def default_headers(self) -> list[str]:
        """The first lines of the response."""
        return [line for line in super().default_headers() if not line.startswith("Server:")]

    def send_headers(self) -> None:
        """Keeps the head back, so that it leaves together with the first bytes of the body."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self._unsent_head, self.headers_sent = "".join(lines).encode("latin-1"), True

    def _emit_body(self, data: bytes) -> None:
        if self._unsent_head and len(data) <= MAX_JOINED_BYTES:
            head, self._unsent_head = self._unsent_head, b""
            self.sock.sendall(head + (b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data))
        else:
            self._send_head()
            super()._emit_body(data)

    def close(self) -> None:
        """Sends what is left of the response."""
        self.send_headers()
        self._send_head()
        super().close()

    def _send_head(self) -> None:
        if self._unsent_head:
            head, self._unsent_head = self._unsent_head, b""
            self.sock.sendall(head)


def write_error(client: Any, status: int, reason: str, message: str) -> None:
    """Responds to a request that gunicorn could not parse. It replaces gunicorn's own function."""
    sentence = f"{reason}: {message}" if message else reason
    client.sendall(error_response(status, reason, sentence[:MAX_ERROR_CHARACTERS]))


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker of the service."""

    limits = ClientLimits()
    alive: bool
    accept_pause_end = 0.0
    """Until then no connection is accepted, because there are too many."""

    def init_process(self) -> None:
        """Prepares this process, which runs until ``run`` ends."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gunicorn.util.write_error = write_error
        gunicorn.http.wsgi.Response = Response
        self.method_queue = MainLoopCalls()
        try:
            super().init_process()
        except Exception:
            if self.alive or self.booted:
                raise
            # the signal arrived in an import, and some extension modules make another error of its SystemExit
            sys.exit(0)

    def get_thread_pool(self) -> DaemonThreads:
        """As many threads as admitted requests can need."""
        return DaemonThreads(Admission(self.cfg.threads).max_running)

    def init_signals(self) -> None:
        """Also has the kernel tell when the main process dies."""
        super().init_signals()
        request_signal_at_death_of_parent(signal.SIGTERM)
        if is_orphan(self.ppid):
            sys.exit(0)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stops the worker. One that still starts, and whose main process died, ends at once."""
        if is_orphan(self.ppid) and not self.booted:
            sys.exit(0)
        super().handle_exit(sig, frame)

    def run(self) -> None:
        """Serves clients until a signal, or until the main process dies."""
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        recent_hours = Settings.load().start_time_window
        self.clients = Clients(self.cfg, self.limits, self.poller, self.method_queue, self._submit, recent_hours)
        self.supervisor = Supervisor(self.clients, self.limits, self.log)
        self.log.error_log.addFilter(self._count_invalid_request)
        now = next_accept = 0.0
        waiting: set[Any] = set()
        while self.alive and not is_orphan(self.ppid):
            is_busy = self.clients.admission.is_busy or now < self.accept_pause_end
            self.set_accept_enabled(not is_busy)
            now = self._turn(ACCEPT_PAUSE_SECONDS if is_busy else self.supervisor.interval)
            if is_busy and now >= max(next_accept, self.accept_pause_end):
                next_accept = now + ACCEPT_PAUSE_SECONDS
                waited, waiting = waiting, set(select.select(self.sockets, [], [], 0)[0])
                for listener in waited & waiting:
                    self.accept(listener)
        self.alive = False
        self._stop()

    def _turn(self, seconds: float) -> float:
        """Does what clients and threads ask for next, or nothing for so long. Returns the time."""
        self.wait_for_and_dispatch_events(min(seconds, self.supervisor.interval))
        now = time.monotonic()
        if self.supervisor.check(now):
            self.notify()
        return now

    def _stop(self) -> None:
        """Lets running requests finish, within graceful_timeout, or less where another service waits for the port."""
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        clients = self.clients
        began = now = time.monotonic()
        while clients.connections and now < began + (
            self.limits.orphan_seconds if is_orphan(self.ppid) else self.cfg.graceful_timeout
        ):
            now = self._turn(SHORT_INTERVAL_SECONDS)
            for connection in [c for c in clients.connections if c.state is State.RECEIVING]:
                is_idle = not len(connection.request)
                if now >= began + (STOP_KEEPALIVE_LINGER if is_idle else self.limits.stop_seconds):
                    clients.time_out(connection)
        for connection in list(clients.connections):
            clients.close(connection, reset=True)

    def accept(self, listener: Any) -> None:
        """Accepts new connections. Where there are too many, those go that wait for their clients longest."""
        # one at a time, so that a free worker gets the next one
        for _ in range(MAX_ACCEPTS_AT_ONCE if self.clients.admission.is_busy else 1):
            if len(self.clients.connections) >= self.worker_connections and not self.clients.make_room():
                self._pause_accepting()
                return
            try:
                client, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # too many open files, or a client that has gone already
                self.log.debug("cannot accept: %s", error)
                self.clients.make_room()
                self._pause_accepting()
                return
            self.clients.open(client, address, listener.getsockname())

    def _pause_accepting(self) -> None:
        self.accept_pause_end = time.monotonic() + ACCEPT_PAUSE_SECONDS

    def _submit(self, connection: Connection) -> None:
        self.tpool.submit(partial(self._run_request, connection))

    def _run_request(self, connection: Connection) -> None:
        """Runs on a thread."""
        keeps_open = False
        try:
            keeps_open = bool(self.handle(connection))
        except BaseException:
            self.log.exception("unexpected error of a request")
        self.method_queue.defer(self.clients.finish_request, connection, keeps_open)

    def handle(self, conn: Connection) -> Any:
        """Runs a request on a thread. Returns whether the connection may stay open."""
        if conn.request.is_head_too_large:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("the head is too large"))
            return False
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Calls the app."""
        if not conn.request.is_whole:
            # nobody knows where the next request would begin
            req.force_close()
        return super().handle_request(req, conn)

    def _count_invalid_request(self, record: logging.LogRecord) -> bool:
        """A filter of gunicorn's log, which has a line for each invalid request: strangers could fill disks."""
        if not str(record.msg).startswith("Invalid request from"):
            return True
        self.method_queue.defer(self.clients.events.update, ["refused invalid requests"])
        return False
