"""Responses on their way to clients, so that a client that reads slowly occupies memory for a while, but no thread."""

import contextlib
import errno
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable

MAX_WAITING_BYTES = 32 << 20
"""Of one response. Only threads of longer ones wait for their clients."""
MAX_HELD_BYTES = 64 << 10
"""Of the first bytes of a response, which wait for its end or for more of it."""
MAX_FLUSH_BYTES = 1 << 20
"""Sent to one client before the others have their turn."""
NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket that does not block raises when it has to wait."""


class UnsentBytes:
    """Counts the bytes that the clients of a worker have not taken. Threads share it."""

    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Notes bytes that wait, or with a negative count, bytes that were sent or dropped."""
        with self._lock:
            self.total += count


class ResponseBuffer:
    """The sending side of a connection. gunicorn writes to it as to a socket.

    A thread sends what the socket takes at once. The worker's main loop sends
    the rest, with ``flush``. It also sends short responses, with
    ``send_held``: a thread that sends would have to wait for Python's
    interpreter again.
    """

    def __init__(self, sock: socket.socket, unsent: UnsentBytes, request_flush: Callable[[], None]) -> None:
        self._sock = sock
        self._unsent = unsent
        self._request_flush = request_flush
        self._pieces: deque[memoryview] = deque()
        self._held = b""
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self.waiting_bytes = 0
        """How much the client has still to take."""
        self.is_aborted = False
        self.holds_thread = False
        """Whether a thread waits until the client has taken more."""

    def sendall(self, data: bytes) -> None:
        """Sends the data now or later. It waits after MAX_WAITING_BYTES. Raises BrokenPipeError if the client goes."""
        if self.waiting_bytes >= MAX_WAITING_BYTES:
            with self._room:
                self.holds_thread = True
                self._room.wait_for(lambda: self.is_aborted or self.waiting_bytes < MAX_WAITING_BYTES)
                self.holds_thread = False
        if not self._held and not self._pieces and len(data) <= MAX_HELD_BYTES and not self.is_aborted:
            self._held = data
        else:
            self.write(data)

    def send_held(self) -> None:
        """Sends what a thread has left to the main loop, when the response is complete. Raises OSError."""
        self.write(b"")

    def write(self, data: bytes) -> None:
        """As ``sendall``, but sends now, and never waits. For the main loop."""
        with self._lock:
            if self.is_aborted:
                raise BrokenPipeError(errno.EPIPE, "the connection was closed")
            needs_flush = False
            held, self._held = self._held, b""
            for part in (held, data):
                piece = memoryview(part)
                if piece and not self._pieces:
                    piece = piece[self._send(piece) :]
                if not piece:
                    continue
                needs_flush = needs_flush or not self._pieces
                self._pieces.append(piece)
                self.waiting_bytes += len(piece)
                self._unsent.add(len(piece))
        if needs_flush:
            self._request_flush()

    def send(self, data: bytes) -> int:
        """Nothing: gunicorn sends 100 Continue with it, which the main loop has done."""
        return len(data)

    def flush(self) -> int:
        """Sends what the socket takes, and returns how many bytes that were. Raises OSError."""
        flushed = 0
        with self._lock:
            while self._pieces and flushed < MAX_FLUSH_BYTES:
                piece = self._pieces[0]
                count = self._send(piece)
                flushed += count
                if count == len(piece):
                    self._pieces.popleft()
                else:
                    self._pieces[0] = piece[count:]
                if count == 0:
                    break
            self.waiting_bytes -= flushed
            self._room.notify_all()
        if flushed:
            self._unsent.add(-flushed)
        return flushed

    def abort(self) -> None:
        """Drops what waits. A thread that still writes gets BrokenPipeError."""
        with self._lock:
            self.is_aborted = True
            self._pieces.clear()
            self._held = b""
            dropped, self.waiting_bytes = self.waiting_bytes, 0
            self._room.notify_all()
        self._unsent.add(-dropped)

    def shutdown(self, _: int) -> None:
        """Drops the connection: gunicorn does this where a response broke off, which must not look like its end."""
        self.abort()

    def recv(self, _: int) -> bytes:
        """Nothing: what clients send is in the RequestBuffer."""
        return b""

    def close(self) -> None:
        """Nothing: the worker closes connections."""

    def setblocking(self, _: bool) -> None:
        """Nothing: it never blocks."""

    def settimeout(self, _: float | None) -> None:
        """Nothing: it never blocks."""

    def gettimeout(self) -> float:
        """It never blocks."""
        return 0.0

    def _send(self, piece: memoryview) -> int:
        count = 0
        with contextlib.suppress(*NOT_NOW):
            count = self._sock.send(piece)
        return count
