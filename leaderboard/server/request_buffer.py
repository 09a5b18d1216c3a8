"""The bytes that a client has sent, up to the end of its request.

A thread gets a request when it is complete, so that a slow client occupies
none. This module only finds where a request ends. gunicorn's parser reads the
bytes afterwards and refuses what is malformed; when in doubt, a request counts
as complete and is left to it.
"""

import re

from leaderboard.server.limits import ClientLimits

HEAD_END = b"\r\n\r\n"
MAX_CHUNK_LINE_BYTES = 8190
READ_AHEAD_BYTES = 4096
"""gunicorn reads a body in steps of at least 1 KiB, so the last allowed byte is seen with some more behind it."""
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")


class RequestBuffer:
    """Collects the bytes of one connection, request by request. gunicorn's parser reads it like a socket."""

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._bytes = bytearray()
        self._expect_request()

    def __len__(self) -> int:
        return len(self._bytes)

    def _expect_request(self) -> None:
        self.is_complete = False
        """Whether the parser may read now. It gets all there is of the request, and then the end of the stream."""
        self.is_whole = True
        """False where the request was handed over without its end. Then no further request can follow."""
        self.is_head_too_large = False
        self.expects_continue = False
        self._head_end: int | None = None
        self._request_end: int | None = None
        self._searched = 0
        self._body_bytes = 0

    @property
    def has_head(self) -> bool:
        """Whether the head has arrived completely."""
        return self._head_end is not None

    @property
    def body_bytes(self) -> int:
        """How many bytes of the body have arrived."""
        return 0 if self._head_end is None else len(self._bytes) - self._head_end

    @property
    def request_line(self) -> bytes:
        """The first line, without its end."""
        return bytes(self._bytes[: self._head_end or self._limits.max_head_bytes]).lstrip(b"\r\n").partition(b"\r\n")[0]

    def feed(self, data: bytes) -> None:
        """Adds what the client sent."""
        self._bytes += data
        self._find_end()

    def end(self) -> None:
        """Notes that the client sends nothing more. A request without its end is left to the app to refuse."""
        if not self.is_complete:
            self._hand_over_incomplete()

    def recv(self, size: int) -> bytes:
        """The next bytes of a complete request, at most ``size``; none at its end. It never waits."""
        data = bytes(self._bytes[:size])
        del self._bytes[:size]
        return data

    def clear(self) -> None:
        """Frees the memory of what arrived, when nobody reads it any more."""
        self._bytes.clear()

    def next_request(self, read_ahead: bytes) -> None:
        """Begins the next request, with what the parser has read of it."""
        self._bytes[:0] = read_ahead
        self._expect_request()
        if self._bytes:
            self._find_end()

    def _hand_over_incomplete(self) -> None:
        self.is_complete, self.is_whole = True, False

    def _find_end(self) -> None:
        if self.is_complete:
            return
        if self._head_end is None and not self._find_head():
            return
        if self._request_end is None:
            self._scan_chunks()
        elif len(self._bytes) >= self._request_end:
            self.is_complete = True

    def _find_head(self) -> bool:
        end = self._bytes.find(HEAD_END, max(0, self._searched - len(HEAD_END) + 1))
        if end < 0:
            self._refuse_hopeless_head()
            self._searched = len(self._bytes)
            return False
        self._head_end = self._searched = end + len(HEAD_END)
        if self._head_end > self._limits.max_head_bytes:
            self.is_head_too_large = True
            self._hand_over_incomplete()
            return False
        # with the line end before the first header, and without the empty line
        head = bytes(self._bytes[: self._head_end - 2])
        self.expects_continue = _EXPECT_CONTINUE.search(head) is not None
        if _CHUNKED.search(head):
            return True
        length = _CONTENT_LENGTH.search(head)
        self._request_end = self._head_end + (int(length[1]) if length else 0)
        if self._request_end - self._head_end > self._limits.max_body_bytes:
            self._hand_over_incomplete()
            return False
        return True

    def _refuse_hopeless_head(self) -> None:
        """Hands over what cannot become a request any more, such as TLS, so that the client learns it at once."""
        is_method = self._bytes[:1] == b"\r" or self._bytes[:1].isupper()
        has_bare_line_end = self._bytes.count(b"\n", self._searched) > self._bytes.count(
            b"\r\n", max(0, self._searched - 1)
        )
        if len(self._bytes) > self._limits.max_head_bytes:
            self.is_head_too_large = b"\r\n" in self._bytes
            self._hand_over_incomplete()
        elif not is_method or has_bare_line_end:
            self._hand_over_incomplete()

    def _scan_chunks(self) -> None:
        """Goes on to the end of the last chunk that has arrived."""
        while not self.is_complete:
            line_end = self._bytes.find(b"\r\n", self._searched)
            if line_end < 0:
                if len(self._bytes) - self._searched > MAX_CHUNK_LINE_BYTES:
                    self._hand_over_incomplete()
                return
            size = _CHUNK_SIZE.match(bytes(self._bytes[self._searched : line_end]))
            if size is None:
                self._hand_over_incomplete()
                return
            count = int(size[1], 16)
            if count == 0:
                self._find_trailer_end(line_end)
                return
            chunk_end = line_end + 2 + count + 2
            arrived = self._body_bytes + min(count, len(self._bytes) - line_end - 2)
            if arrived >= self._limits.max_body_bytes + READ_AHEAD_BYTES or self.body_bytes > 2 * (
                self._limits.max_body_bytes + READ_AHEAD_BYTES
            ):
                self._hand_over_incomplete()
                return
            if len(self._bytes) < chunk_end:
                return
            self._searched = chunk_end
            self._body_bytes += count

    def _find_trailer_end(self, line_end: int) -> None:
        """The end of a chunked body: an empty line, after trailers that hardly anybody sends."""
        end = self._bytes.find(HEAD_END, line_end)
        if end >= 0:
            self.is_complete = True
        elif len(self._bytes) - line_end > self._limits.max_head_bytes:
            self._hand_over_incomplete()
