"""How long a client may take, and how much it may occupy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClientLimits:
    """The limits of one worker. What a client exceeds ends its connection.

    Seconds, bytes, and bytes per second. A client has ``seconds_per_step`` to
    send or to take the next ``min_speed * seconds_per_step`` bytes, or the
    rest if that is less.
    """

    head_seconds: float = 10.0
    """For a request line and headers, from the first byte on. Also for the first byte of a new connection."""
    seconds_per_step: float = 10.0
    min_speed: int = 50_000
    crowded_seconds: float = 1.0
    """After this long, the slowest clients make room where memory is short, if they are slower than crowded_speed."""
    full_seconds: float = 0.2
    """The same where memory is very short."""
    crowded_speed: int = 1_000_000
    close_seconds: float = 2.0
    """How long a connection that was closed waits for the client to notice."""
    drain_seconds: float = 10.0
    """The same for a client that still sends a body that was refused."""
    stop_seconds: float = 5.0
    """What a stopping worker gives clients that are sending a request."""
    orphan_seconds: float = 3.0
    """What a worker gives all clients after its master died: another service waits for the port."""
    max_head_bytes: int = 64 << 10
    max_body_bytes: int = (16 << 20) + 1
    """A longer body is not awaited. The app sees what has arrived, and refuses it."""
    max_received_bytes: int = 96 << 20
    """Of bodies that arrive or are stored, over all clients. Bodies up to SMALL_BODY_BYTES do not count."""
    crowded_bytes: int = 128 << 20
    """Of responses that clients have not taken yet, over all clients. From here on memory is short."""
    full_bytes: int = 256 << 20
    """From here on it is very short."""
    tick_seconds: float = 0.5
    """How often the limits are checked."""


SMALL_BODY_BYTES = 64 << 10
"""Nearly all results are smaller. Such bodies are taken even where large ones are refused."""


class Pace:
    """How fast a client takes or sends bytes, step by step."""

    def __init__(self, limits: ClientLimits, now: float) -> None:
        self._limits = limits
        self._since = now
        self.moved = 0

    def restart(self, now: float) -> None:
        """Begins a new step."""
        self._since, self.moved = now, 0

    def add(self, count: int) -> None:
        """Notes bytes that moved."""
        self.moved += count

    def speed(self, now: float) -> float:
        """Bytes per second in this step."""
        return self.moved / max(now - self._since, 0.001)

    def is_too_slow(self, now: float) -> bool:
        """Whether the step took too long. Begins a new step after one that was fast enough."""
        if now - self._since < self._limits.seconds_per_step:
            return False
        if self.speed(now) < self._limits.min_speed:
            return True
        self.restart(now)
        return False

    def is_slow_for(self, seconds: float, now: float) -> bool:
        """Whether this client has taken so long, and was slow enough to be cut off where memory is short."""
        return now - self._since >= seconds and self.speed(now) < self._limits.crowded_speed
