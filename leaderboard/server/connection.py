"""One client's connection, as the main loop of a worker sees it."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from enum import Enum
from typing import Any

from gunicorn import http
from gunicorn.config import Config

from leaderboard.server.admission import Kind
from leaderboard.server.limits import SMALL_BODY_BYTES, ClientLimits, Pace
from leaderboard.server.request_buffer import RequestBuffer
from leaderboard.server.response_buffer import NOT_NOW, ResponseBuffer, UnsentBytes

RECEIVE_BYTES = 64 << 10
MAX_UNSENT_KERNEL_BYTES = 512 << 10
"""Of one response. The kernel would take megabytes, which clients that do not read would occupy."""
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: the kernel forgets what it has not sent."""


class State(Enum):
    """Whose turn it is."""

    RECEIVING = "the client's: it sends a request, or nothing for now"
    WAITING = "a thread has to become free"
    RUNNING = "a thread runs the request"
    SENDING = "the client's: it has to take the rest of the response"
    CLOSING = "the client's: it has to notice that the connection is closed"
    CLOSED = "nobody's"


class Connection:
    """What gunicorn's threaded worker knows of a connection, and what has arrived and waits to be sent."""

    # gunicorn's worker asks for these
    initialized = data_ready = True
    is_http2 = False

    def __init__(
        self,
        cfg: Config,
        sock: socket.socket,
        client: Any,
        server: Any,
        limits: ClientLimits,
        unsent: UnsentBytes,
        request_flush: Callable[["Connection"], None],
        now: float,
    ) -> None:
        sock.setblocking(False)
        if hasattr(socket, "TCP_NOTSENT_LOWAT") and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_KERNEL_BYTES)
        self.cfg, self.socket, self.client, self.server = cfg, sock, client, server
        self.request = RequestBuffer(limits)
        self.sock = ResponseBuffer(sock, unsent, lambda: request_flush(self))
        self.parser = http.get_parser(cfg, self.request, client)
        self.state = State.RECEIVING
        self.kind = Kind.RECENT
        self.keeps_open = False
        self.pace = Pace(limits, now)
        self.request_began = now
        """When the first byte of the request came."""
        self.deadline = now + limits.head_seconds
        """When a client is cut off that has to send its head, or to notice that the connection is closed."""
        self.watched_events = 0
        self.counted_bytes = 0
        """Of a large body, as far as it is counted among those of the worker."""

    def init(self) -> None:
        """Nothing: gunicorn would set up what the constructor has."""

    def receive(self) -> bytes | None:
        """What the client sent: nothing at its end, and None where there is nothing yet. Raises OSError."""
        data = b""
        try:
            while chunk := self.socket.recv(RECEIVE_BYTES):
                data += chunk
                # TLS may hold more than the socket shows
                if not (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
                    break
        except NOT_NOW:
            return data or None
        return data

    def uncounted_bytes(self) -> int:
        """How much of a large body has arrived since this was last asked."""
        count = self.request.body_bytes
        if count <= SMALL_BODY_BYTES or count <= self.counted_bytes:
            return 0
        new, self.counted_bytes = count - self.counted_bytes, count
        return new

    def next_request(self) -> None:
        """Begins the next request, which the client may have sent already."""
        self.state = State.RECEIVING
        self.request.next_request(self.parser.unreader.take_buffered())

    def close(self, *, reset: bool = False) -> None:
        """Closes the socket. With ``reset`` the client learns that its response is not complete."""
        self.sock.abort()
        self.request.clear()
        self.state = State.CLOSED
        with contextlib.suppress(OSError):
            if reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            self.socket.close()
