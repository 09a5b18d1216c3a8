"""Ends what takes too long, too slowly or too much, and logs how much of that there is."""

from logging import Logger

from leaderboard.server.clients import Clients
from leaderboard.server.connection import Connection, State
from leaderboard.server.limits import ClientLimits

SHORT_INTERVAL_SECONDS = 0.1
"""How often the limits are checked while memory is short."""
REPORT_SECONDS = 60.0


class Supervisor:
    """Checks the limits of the clients of one worker."""

    def __init__(self, clients: Clients, limits: ClientLimits, log: Logger) -> None:
        self._clients = clients
        self._limits = limits
        self._log = log
        self._next_check = self._next_report = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two checks."""
        usual = self._limits.tick_seconds
        return min(usual, SHORT_INTERVAL_SECONDS) if self._is_memory_short() else usual

    def check(self, now: float) -> bool:
        """Checks the limits, if it is time to. Returns whether it was."""
        for kind, connection in self._clients.admission.take_expired(now):
            self._clients.refuse(kind, connection)
        if now < self._next_check:
            return False
        self._next_check = now + self.interval
        for connection in list(self._clients.connections):
            self._check_connection(connection, now)
        if self._is_memory_short():
            self._free_memory(now)
        self._report(now)
        return True

    def _check_connection(self, connection: Connection, now: float) -> None:
        if connection.state is State.RECEIVING:
            has_head = connection.request.has_head
            if connection.pace.is_too_slow(now) if has_head else now >= connection.deadline:
                self._clients.time_out(connection)
        elif connection.state is State.CLOSING:
            if now >= connection.deadline:
                self._clients.close(connection)
        elif connection.sock.waiting_bytes:
            # the kernel tells late that it has room again
            self._clients.flush(connection)
            if connection.sock.waiting_bytes and self._reads_too_slowly(connection, now):
                self._clients.events["cut clients that read too slowly"] += 1
                self._clients.close(connection, reset=True)

    def _reads_too_slowly(self, connection: Connection, now: float) -> bool:
        is_in_the_way = connection.sock.holds_thread and self._clients.admission.has_waiting(connection.kind)
        if is_in_the_way and connection.pace.is_slow_for(self._limits.crowded_seconds, now):
            return True
        return connection.pace.is_too_slow(now)

    def _is_memory_short(self) -> bool:
        return self._clients.unsent.total > self._limits.crowded_bytes

    def _free_memory(self, now: float) -> None:
        """Cuts off the slowest clients while responses occupy too much memory."""
        for connection in sorted(self._clients.connections, key=lambda c: c.pace.speed(now)):
            if not self._is_memory_short():
                return
            is_very_short = self._clients.unsent.total > self._limits.full_bytes
            seconds = self._limits.full_seconds if is_very_short else self._limits.crowded_seconds
            if connection.sock.waiting_bytes and connection.pace.is_slow_for(seconds, now):
                self._clients.events["cut clients that read too slowly, to free memory"] += 1
                self._clients.close(connection, reset=True)

    def _report(self, now: float) -> None:
        """Logs what was refused and cut: at once, and then a sum each minute."""
        events = self._clients.events
        if events and now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            counts = ", ".join(f"{what}: {count}" for what, count in events.items())
            self._log.warning("since the last such line: %s", counts)
            events.clear()
