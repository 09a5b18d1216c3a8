"""The clients of a worker: receives their requests, and sends them their responses.

All of this runs on the main loop, which never waits for a client.
"""

import contextlib
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import gunicorn.sock
from gunicorn.config import Config
from gunicorn.workers.gthread import PollableMethodQueue

from leaderboard.server.admission import Admission, Kind, request_kind
from leaderboard.server.connection import Connection, State
from leaderboard.server.error_responses import error_response
from leaderboard.server.limits import ClientLimits
from leaderboard.server.response_buffer import UnsentBytes

MAX_DRAIN_BYTES = 32 << 20
"""Of a refused body. A client that sends more does not see why it was refused."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Clients:
    """The connections of a worker. ``run_request`` has a thread run a complete request."""

    def __init__(
        self,
        cfg: Config,
        limits: ClientLimits,
        poller: selectors.BaseSelector,
        main_loop: PollableMethodQueue,
        run_request: Callable[[Connection], None],
        recent_hours: float,
    ) -> None:
        self._cfg = cfg
        self._limits = limits
        self._poller = poller
        self._main_loop = main_loop
        self._run_request = run_request
        self._recent_hours = recent_hours
        self._received_bytes = 0
        self.connections: dict[Connection, None] = {}
        """Those that wait for their clients longest come first."""
        self.admission: Admission[Connection] = Admission(cfg.threads)
        self.unsent = UnsentBytes()
        self.events: Counter[str] = Counter()
        """What was refused and cut, until it is logged."""

    def open(self, client: socket.socket, address: Any, server: Any) -> None:
        """Takes a connection that was accepted."""
        now = time.monotonic()
        try:
            if self._cfg.is_ssl:
                client = gunicorn.sock.ssl_wrap_socket(client, self._cfg)
            connection = Connection(
                self._cfg, client, address, server, self._limits, self.unsent, self._request_flush, now
            )
        except OSError:
            # the client has gone
            client.close()
            return
        self.connections[connection] = None
        self._watch(connection, selectors.EVENT_READ)
        # the request is often there already
        self._on_readable(connection, client)

    def close(self, connection: Connection, *, reset: bool = False) -> None:
        """Ends a connection. With ``reset`` its client learns that it has not got everything."""
        self._watch(connection, 0)
        self.connections.pop(connection, None)
        self._forget_body(connection)
        connection.close(reset=reset)

    def make_room(self) -> bool:
        """Closes the connection that waits for its client longest. Returns whether there is one."""
        for connection in self.connections:
            if connection.state in (State.RECEIVING, State.CLOSING):
                self.events["closed connections to make room for new ones"] += 1
                self.close(connection)
                return True
        return False

    def refuse(self, kind: Kind, connection: Connection) -> None:
        """Says early that there is too much to do, which costs little."""
        self.events[f"refused {kind.value}"] += 1
        self._respond(connection, 503, "Service Unavailable", f"too many {kind.value} at once, try again later")

    def time_out(self, connection: Connection) -> None:
        """Ends a connection whose client did not send its request in time."""
        if not len(connection.request):
            self.close(connection)
            return
        self.events["cut clients that sent too slowly"] += 1
        self._respond(connection, 408, "Request Timeout", "the request did not arrive in time")

    def finish_request(self, connection: Connection, keeps_open: bool) -> None:
        """Goes on with a connection whose request has run, and with the request that waited for its thread."""
        waiting = self.admission.leave(connection.kind)
        if waiting is not None:
            self._start(waiting)
        self._forget_body(connection)
        if connection.state is State.CLOSED:
            return
        if connection.sock.is_aborted:
            self.close(connection, reset=True)
            return
        # a worker that stops keeps it, too, where the response said so: the next one says otherwise
        connection.keeps_open = keeps_open and connection.request.is_whole
        connection.state = State.SENDING
        try:
            connection.sock.send_held()
        except OSError:
            self.close(connection)
            return
        if not connection.sock.waiting_bytes:
            self._finish_response(connection)

    def flush(self, connection: Connection) -> None:
        """Sends more of a response."""
        try:
            connection.pace.add(connection.sock.flush())
        except OSError:
            self.close(connection)
            return
        if not connection.sock.waiting_bytes:
            self._watch(connection, 0)
            if connection.state is State.SENDING:
                self._finish_response(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        """Has the main loop look for these events of the connection, and for no others."""
        if events == connection.watched_events:
            return
        if connection.watched_events:
            self._poller.unregister(connection.socket)
        if events:
            callback = self._on_readable if events == selectors.EVENT_READ else self._on_writable
            self._poller.register(connection.socket, events, partial(callback, connection))
        connection.watched_events = events

    def _on_readable(self, connection: Connection, _: Any) -> None:
        if connection.state not in (State.RECEIVING, State.CLOSING):
            # the next request, or the end, has come early, and has to wait
            self._watch(connection, 0)
            return
        try:
            data = connection.receive()
        except OSError:
            self.close(connection)
            return
        if data is None:
            return
        if connection.state is State.CLOSING:
            self._drain(connection, len(data))
        elif data or connection.request.has_head:
            self._receive(connection, data)
        else:
            self.close(connection)

    def _on_writable(self, connection: Connection, _: Any) -> None:
        self.flush(connection)

    def _receive(self, connection: Connection, data: bytes) -> None:
        request, now = connection.request, time.monotonic()
        is_first, had_head = not len(request), request.has_head
        if data:
            request.feed(data)
        else:
            request.end()
        self._received_bytes += connection.uncounted_bytes()
        if request.is_complete:
            self._admit(connection, now)
            return
        if self._received_bytes > self._limits.max_received_bytes and connection.counted_bytes:
            self.refuse(Kind.POST, connection)
            return
        if is_first:
            connection.deadline = now + self._limits.head_seconds
        if request.has_head and not had_head:
            connection.pace.restart(now)
            if request.expects_continue:
                with contextlib.suppress(OSError):
                    connection.sock.write(CONTINUE)
        connection.pace.add(len(data))

    def _forget_body(self, connection: Connection) -> None:
        self._received_bytes -= connection.counted_bytes
        connection.counted_bytes = 0

    def _admit(self, connection: Connection, now: float) -> None:
        kind = connection.kind = request_kind(connection.request.request_line, self._recent_hours)
        connection.state = State.WAITING
        is_admitted = self.admission.enter(kind, connection, now)
        if is_admitted:
            self._start(connection)
        elif is_admitted is False:
            self.refuse(kind, connection)

    def _start(self, connection: Connection) -> None:
        connection.state = State.RUNNING
        self._run_request(connection)

    def _respond(self, connection: Connection, status: int, reason: str, sentence: str) -> None:
        """Sends an error and closes the connection."""
        connection.keeps_open = False
        connection.state = State.SENDING
        with contextlib.suppress(OSError):
            connection.sock.write(error_response(status, reason, sentence))
        if not connection.sock.waiting_bytes:
            self._finish_response(connection)

    def _request_flush(self, connection: Connection) -> None:
        """Called on any thread when a client does not take a response at once."""
        self._main_loop.defer(self._begin_flush, connection)

    def _begin_flush(self, connection: Connection) -> None:
        if connection.sock.waiting_bytes and connection.watched_events != selectors.EVENT_WRITE:
            connection.pace.restart(time.monotonic())
            self._watch(connection, selectors.EVENT_WRITE)

    def _finish_response(self, connection: Connection) -> None:
        now = time.monotonic()
        if not connection.keeps_open:
            self._begin_close(connection, now)
            return
        connection.next_request()
        # it waits for its client from now on
        self.connections[connection] = self.connections.pop(connection)
        is_idle = not len(connection.request)
        connection.deadline = now + (self._cfg.keepalive if is_idle else self._limits.head_seconds)
        connection.pace.restart(now)
        if connection.request.is_complete:
            self._admit(connection, now)
        else:
            self._watch(connection, selectors.EVENT_READ)

    def _begin_close(self, connection: Connection, now: float) -> None:
        """Sends the end, and waits until the client has seen it: with a reset it might miss the response."""
        connection.state = State.CLOSING
        connection.request.clear()
        self._forget_body(connection)
        connection.pace.restart(now)
        has_more_to_send = not (connection.request.is_complete and connection.request.is_whole)
        connection.deadline = now + (self._limits.drain_seconds if has_more_to_send else self._limits.close_seconds)
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)
        self._watch(connection, selectors.EVENT_READ)

    def _drain(self, connection: Connection, count: int) -> None:
        connection.pace.add(count)
        if not count or connection.pace.moved > MAX_DRAIN_BYTES:
            self.close(connection)
