"""A network between a client and a server that can fail."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK_BYTES = 1 << 16


class Relay:
    """Passes connections on to a server at a path or an address, as long as nothing is wrong with it.

    ``is_silent``: nothing that is sent arrives any more, in either direction.
    ``drops_responses``: what the client sends arrives, and the connection is
    cut when the server answers.
    """

    def __init__(self, server: str | tuple[str, int]) -> None:
        self.is_silent = False
        self.drops_responses = False
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends all connections."""
        sockets, self._sockets = self._sockets, []
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends all connections and takes no others."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
            server = socket.socket(family)
            try:
                server.connect(self._server)
            except OSError:
                client.close()
                server.close()
                continue
            self._sockets += [client, server]
            for source, target, is_response in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, target, is_response), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_response: bool) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(CHUNK_BYTES):
                if is_response and self.drops_responses:
                    break
                if not self.is_silent:
                    target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay_to(server: str | tuple[str, int]) -> Iterator[Relay]:
    """A relay that ends with the ``with`` statement."""
    relay = Relay(server)
    try:
        yield relay
    finally:
        relay.close()
