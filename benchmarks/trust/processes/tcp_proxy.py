"""A proxy in front of a socket, which cuts connections in the middle of what they send."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

CHUNK_BYTES = 1 << 16


class TcpProxy:
    """Passes connections to a port of 127.0.0.1 on to a Unix socket."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @contextmanager
    def running(self) -> Iterator["TcpProxy"]:
        """Runs it on a thread until the end of the ``with`` statement."""
        thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._close(server), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def cut(self) -> int:
        """Resets all connections at both ends, and returns how many there were."""

        async def reset() -> int:
            return self._reset()

        return asyncio.run_coroutine_threadsafe(reset(), self._loop).result() // 2

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, client: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        try:
            server, server_writer = await asyncio.open_unix_connection(str(self._target))
        except OSError:
            client_writer.transport.abort()
            return
        writers = {client_writer, server_writer}
        self._writers |= writers
        try:
            await asyncio.gather(_pump(client, server_writer), _pump(server, client_writer))
        finally:
            self._writers -= writers
            for writer in writers:
                writer.transport.abort()

    def _reset(self) -> int:
        writers = list(self._writers)
        for writer in writers:
            with contextlib.suppress(OSError):
                # a reset instead of an orderly end
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        return len(writers)

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes on until one end is closed, and then closes the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.transport.abort() if writer.is_closing() else writer.close()
