"""gunicorn's threaded worker, in which slow clients occupy no threads.

The main loop receives requests and sends what clients do not take at once. A
thread gets a request when it is complete and admitted, and is free again when
the response is computed. What a client may take, in time, speed and memory,
is in ``limits``.
"""

import contextlib
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from functools import partial
from typing import Any

import gunicorn.http.wsgi
import gunicorn.sock
import gunicorn.util
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from leaderboard.request_clock import set_request_began
from leaderboard.server.admission import Admission, Kind, request_kind
from leaderboard.server.connection import Connection, State
from leaderboard.server.error_responses import error_response
from leaderboard.server.limits import ClientLimits
from leaderboard.server.parent import is_orphan, request_signal_at_death_of_parent
from leaderboard.server.response_buffer import UnsentBytes
from leaderboard.server.threads import DaemonThreads
from leaderboard.settings import Settings

ACCEPT_PAUSE_SECONDS = 0.05
"""A worker without free threads for some kind accepts this much later, so that a free worker is first."""
ACCEPTS_AT_ONCE = 16
SHORT_CHECK_SECONDS = 0.1
"""How often the limits are checked where time is short."""
REPORT_SECONDS = 60.0
MAX_DRAIN_BYTES = 32 << 20
"""Of a refused body. A client that sends more does not see why it was refused."""
MAX_ERROR_CHARACTERS = 200
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Response(gunicorn.http.wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's response, without the header that names gunicorn."""

    def default_headers(self) -> list[str]:
        """The first lines of the response."""
        return [line for line in super().default_headers() if not line.startswith("Server:")]


def write_error(client: Any, status: int, reason: str, message: str) -> None:
    """Responds to a request that gunicorn could not parse. It replaces gunicorn's own function."""
    sentence = f"{reason}: {message}" if message else reason
    client.sendall(error_response(status, reason, sentence[:MAX_ERROR_CHARACTERS]))


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker of the service."""

    limits = ClientLimits()
    alive: bool

    def init_process(self) -> None:
        """Prepares this process, which runs until ``run`` ends."""
        self.connections: dict[Connection, None] = {}
        """Those that wait for their clients longest come first."""
        self.admission: Admission[Connection] = Admission(self.cfg.threads)
        self.unsent = UnsentBytes()
        self.received_bytes = 0
        self.events: Counter[str] = Counter()
        self.next_report = self.next_check = self.next_accept = 0.0
        self.recent_hours = Settings.load().start_time_window
        gunicorn.util.write_error = write_error
        gunicorn.http.wsgi.Response = Response
        super().init_process()

    def get_thread_pool(self) -> DaemonThreads:
        """As many threads as admitted requests can need."""
        return DaemonThreads(self.admission.max_running)

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
        while self.alive and not is_orphan(self.ppid):
            busy = self.admission.is_busy
            self.set_accept_enabled(not busy)
            now = self._turn(ACCEPT_PAUSE_SECONDS if busy else self._check_interval())
            if busy and now >= self.next_accept:
                self.next_accept = now + ACCEPT_PAUSE_SECONDS
                for listener in self.sockets:
                    self.accept(listener)
        self.alive = False
        self._stop()

    def _turn(self, timeout: float) -> float:
        """Does what clients and threads ask for next. Returns the time."""
        self.wait_for_and_dispatch_events(min(timeout, self._check_interval()))
        now = time.monotonic()
        if now >= self.next_check:
            self.next_check = now + self._check_interval()
            self.notify()
            self._check_limits(now)
        for kind, connection in self.admission.take_expired(now):
            self._refuse(kind, connection)
        return now

    def _stop(self) -> None:
        """Lets running requests finish, within graceful_timeout, or less where another service waits for the port."""
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        began = now = time.monotonic()
        while self.connections and now < began + (
            self.limits.orphan_seconds if is_orphan(self.ppid) else self.cfg.graceful_timeout
        ):
            now = self._turn(SHORT_CHECK_SECONDS)
            for connection in [c for c in self.connections if c.state is State.RECEIVING]:
                is_idle = not len(connection.request)
                if now >= began + (STOP_KEEPALIVE_LINGER if is_idle else self.limits.stop_seconds):
                    self._time_out(connection)
        for connection in list(self.connections):
            self._cut(connection)

    # connections

    def accept(self, listener: Any) -> None:
        """Accepts new connections. Where there are too many, those go that wait for their clients longest."""
        # one at a time, so that a free worker gets the next one
        for _ in range(ACCEPTS_AT_ONCE if self.admission.is_busy else 1):
            if len(self.connections) >= self.worker_connections and not self._evict():
                return
            try:
                client, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # too many open files, or a client that has gone already
                self.log.debug("cannot accept: %s", error)
                self._evict()
                return
            self._open(client, address, listener.getsockname())

    def _open(self, client: socket.socket, address: Any, server: Any) -> None:
        now = time.monotonic()
        try:
            if self.cfg.is_ssl:
                client = gunicorn.sock.ssl_wrap_socket(client, self.cfg)
            connection = Connection(
                self.cfg, client, address, server, self.limits, self.unsent, self._request_flush, now
            )
        except OSError as error:
            self.log.debug("the client has gone: %s", error)
            client.close()
            return
        self.connections[connection] = None
        self._watch(connection, selectors.EVENT_READ)
        # the request is often there already
        self.on_readable(connection, client)

    def _evict(self) -> bool:
        for connection in self.connections:
            if connection.state in (State.RECEIVING, State.CLOSING):
                self.events["closed connections that waited for their clients"] += 1
                self._close(connection)
                return True
        return False

    def _watch(self, connection: Connection, events: int) -> None:
        """Has the main loop look for these events of the connection, and for no others."""
        if events == connection.watched_events:
            return
        if connection.watched_events:
            self.poller.unregister(connection.socket)
        if events:
            callback = self.on_readable if events == selectors.EVENT_READ else self.on_writable
            self.poller.register(connection.socket, events, partial(callback, connection))
        connection.watched_events = events

    def _close(self, connection: Connection, *, reset: bool = False) -> None:
        self._watch(connection, 0)
        self.connections.pop(connection, None)
        self._forget_body(connection)
        connection.close(reset=reset)

    def _cut(self, connection: Connection) -> None:
        """Ends a connection whose client did not take its response."""
        self._close(connection, reset=True)

    # requests

    def on_readable(self, connection: Connection, _: Any) -> None:
        """Receives what the client has sent."""
        try:
            data = connection.receive()
        except OSError:
            return self._close(connection)
        if data is None:
            return None
        if connection.state is State.CLOSING:
            return self._drain(connection, len(data))
        if not data and not connection.request.has_head:
            return self._close(connection)
        return self._receive(connection, data)

    def _receive(self, connection: Connection, data: bytes) -> None:
        request, now = connection.request, time.monotonic()
        is_first, had_head = not len(request), request.has_head
        if is_first:
            connection.request_began = now
        if data:
            request.feed(data)
        else:
            request.end()
        self._count_body(connection)
        if request.is_complete:
            return self._admit(connection, now)
        if self.received_bytes > self.limits.max_received_bytes and connection.counted_bytes:
            return self._refuse(Kind.POST, connection)
        if is_first:
            connection.deadline = now + self.limits.head_seconds
        if request.has_head and not had_head:
            connection.pace.restart(now)
            if request.expects_continue:
                connection.sock.write(CONTINUE)
        connection.pace.add(len(data))
        return None

    def _count_body(self, connection: Connection) -> None:
        self.received_bytes += connection.uncounted_bytes()

    def _forget_body(self, connection: Connection) -> None:
        self.received_bytes -= connection.counted_bytes
        connection.counted_bytes = 0

    def _admit(self, connection: Connection, now: float) -> None:
        self._watch(connection, 0)
        kind = connection.kind = request_kind(connection.request.request_line, self.recent_hours)
        is_admitted = self.admission.enter(kind, connection, now)
        connection.state = State.WAITING
        if is_admitted:
            self._start(connection)
        elif is_admitted is False:
            self._refuse(kind, connection)

    def _start(self, connection: Connection) -> None:
        connection.state = State.RUNNING
        self.tpool.submit(partial(self._run_request, connection))

    def _run_request(self, connection: Connection) -> None:
        """Runs on a thread."""
        keeps_open = False
        try:
            keeps_open = bool(self.handle(connection))
        except BaseException:
            self.log.exception("unexpected error of a request")
        self.method_queue.defer(self.finish_request, connection, keeps_open)

    def handle(self, conn: Connection) -> Any:
        """Runs a request on a thread. Returns whether the connection may stay open."""
        if conn.request.is_head_too_large:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("the head is too large"))
            return False
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Calls the app."""
        set_request_began(conn.request_began)
        if not conn.request.is_whole:
            # nobody knows where the next request would begin
            req.force_close()
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, keeps_open: bool) -> None:
        """Goes on with the connection, and with the request that waited for its thread."""
        waiting = self.admission.leave(conn.kind)
        if waiting is not None:
            self._start(waiting)
        self._forget_body(conn)
        if conn.state is State.CLOSED:
            return
        if conn.sock.is_aborted:
            self._cut(conn)
            return
        conn.keeps_open = keeps_open and self.alive and conn.request.is_whole
        conn.state = State.SENDING
        if not conn.sock.waiting_bytes:
            self._finish_response(conn)

    def _refuse(self, kind: Kind, connection: Connection) -> None:
        """Says early that there is too much to do, which costs little."""
        self.events[f"refused {kind.value}"] += 1
        self._respond(connection, 503, "Service Unavailable", f"too many {kind.value} at once, try again later")

    def _time_out(self, connection: Connection) -> None:
        """Ends a connection whose client did not send its request in time."""
        if not len(connection.request):
            self._close(connection)
            return
        self.events["cut clients that sent too slowly"] += 1
        self._respond(connection, 408, "Request Timeout", "the request did not arrive in time")

    def _respond(self, connection: Connection, status: int, reason: str, sentence: str) -> None:
        """Sends an error and closes the connection."""
        connection.keeps_open = False
        connection.state = State.SENDING
        with contextlib.suppress(OSError):
            connection.sock.write(error_response(status, reason, sentence))
        if not connection.sock.waiting_bytes:
            self._finish_response(connection)

    # responses

    def _request_flush(self, connection: Connection) -> None:
        """Called on any thread when a client does not take a response at once."""
        self.method_queue.defer(self._begin_flush, connection)

    def _begin_flush(self, connection: Connection) -> None:
        if connection.sock.waiting_bytes and connection.watched_events != selectors.EVENT_WRITE:
            connection.pace.restart(time.monotonic())
            self._watch(connection, selectors.EVENT_WRITE)

    def on_writable(self, connection: Connection, _: Any) -> None:
        """Sends more of a response."""
        try:
            connection.pace.add(connection.sock.flush())
        except OSError:
            return self._close(connection)
        if not connection.sock.waiting_bytes:
            self._watch(connection, 0)
            if connection.state is State.SENDING:
                self._finish_response(connection)
        return None

    def _finish_response(self, connection: Connection) -> None:
        now = time.monotonic()
        if not connection.keeps_open:
            return self._begin_close(connection, now)
        connection.next_request()
        # it waits for its client from now on
        self.connections[connection] = self.connections.pop(connection)
        is_idle = not len(connection.request)
        connection.request_began = now
        connection.deadline = now + (self.cfg.keepalive if is_idle else self.limits.head_seconds)
        connection.pace.restart(now)
        if connection.request.is_complete:
            return self._admit(connection, now)
        return self._watch(connection, selectors.EVENT_READ)

    def _begin_close(self, connection: Connection, now: float) -> None:
        """Sends the end, and waits until the client has seen it: with a reset it might miss the response."""
        connection.state = State.CLOSING
        self._forget_body(connection)
        connection.pace.restart(now)
        has_more_to_send = not (connection.request.is_complete and connection.request.is_whole)
        connection.deadline = now + (self.limits.drain_seconds if has_more_to_send else self.limits.close_seconds)
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)
        self._watch(connection, selectors.EVENT_READ)

    def _drain(self, connection: Connection, count: int) -> None:
        connection.pace.add(count)
        if not count or connection.pace.moved > MAX_DRAIN_BYTES:
            self._close(connection)

    # limits

    def _is_crowded(self) -> bool:
        return self.unsent.total > self.limits.crowded_bytes

    def _check_interval(self) -> float:
        return min(self.limits.tick_seconds, SHORT_CHECK_SECONDS) if self._is_crowded() else self.limits.tick_seconds

    def _check_limits(self, now: float) -> None:
        """Ends what takes too long, too slowly, or too much."""
        for connection in list(self.connections):
            if connection.state is State.RECEIVING:
                has_head = connection.request.has_head
                if connection.pace.is_too_slow(now) if has_head else now >= connection.deadline:
                    self._time_out(connection)
            elif connection.state is State.CLOSING:
                if now >= connection.deadline:
                    self._close(connection)
            elif connection.sock.waiting_bytes:
                self._check_speed(connection, now)
        if self._is_crowded():
            self._make_room(now)
        self._report(now)

    def _check_speed(self, connection: Connection, now: float) -> None:
        # the kernel tells late that it has room again
        self.on_writable(connection, None)
        is_in_the_way = (
            connection.sock.holds_thread
            and self.admission.has_waiting(connection.kind)
            and connection.pace.is_slow_for(self.limits.crowded_seconds, now)
        )
        if connection.sock.waiting_bytes and (is_in_the_way or connection.pace.is_too_slow(now)):
            self.events["cut clients that read too slowly"] += 1
            self._cut(connection)

    def _make_room(self, now: float) -> None:
        """Cuts off the slowest clients while responses occupy too much memory."""
        for connection in sorted(self.connections, key=lambda c: c.pace.speed(now)):
            if not self._is_crowded():
                return
            seconds = (
                self.limits.full_seconds if self.unsent.total > self.limits.full_bytes else self.limits.crowded_seconds
            )
            if connection.sock.waiting_bytes and connection.pace.is_slow_for(seconds, now):
                self.events["cut clients that read too slowly, to free memory"] += 1
                self._cut(connection)

    def _report(self, now: float) -> None:
        """Logs what was refused and cut: at once, and then a sum each minute."""
        if self.events and now >= self.next_report:
            self.next_report = now + REPORT_SECONDS
            self.log.warning(
                "since the last such line: %s", ", ".join(f"{what}: {count}" for what, count in self.events.items())
            )
            self.events.clear()
