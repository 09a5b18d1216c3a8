"""A proxy before a PostgreSQL server that can be made silent, slow, refusing or wrong."""

import socket
import threading
import time
from typing import Self

from psycopg2.extensions import parse_dsn

FAULTS = ("silent", "slow", "refusing", "a web server")
"""What a database that does not work does with its clients."""
SLOW_SECONDS = 2.0
PAUSE_SECONDS = 0.05


class FaultyDatabase:
    """Forwards to the server at ``url``, unless ``fault`` is set, which is one of FAULTS.

    It stops at the end of the ``with`` statement.
    """

    def __init__(self, url: str) -> None:
        options = parse_dsn(url)
        self._address = f"{options['host']}/.s.PGSQL.{options.get('port', 5432)}"
        self.fault: str | None = None
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"postgresql://{options['user']}@127.0.0.1:{port}/{options['dbname']}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._is_cut(client):
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._address)
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _is_cut(self, client: socket.socket) -> bool:
        if self.fault == "a web server":
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        if self.fault in ("refusing", "a web server"):
            client.close()
            return True
        return False

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            source.settimeout(PAUSE_SECONDS)
            while not self._ended.is_set() and self.fault not in ("refusing", "a web server"):
                try:
                    data = source.recv(1 << 16)
                except TimeoutError:
                    continue
                while self.fault == "silent" and not self._ended.wait(PAUSE_SECONDS):
                    pass
                if self.fault == "slow":
                    time.sleep(SLOW_SECONDS)
                if not data:
                    break
                target.sendall(data)
        except OSError:
            pass
        finally:
            for connection in (source, target):
                connection.close()
