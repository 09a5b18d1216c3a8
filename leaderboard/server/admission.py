"""Which requests get a thread, which wait for one, and which are refused.

Each kind of request has threads of its own, so that one kind that waits for a
neighbour (posts for the database, old windows for the lake) cannot hold up the
others.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Generic, TypeVar
from urllib.parse import parse_qs, unquote

from queries.times import WINDOWS, parse_moment

T = TypeVar("T")

WINDOW_SLACK = timedelta(minutes=5)
"""A client that computes "24 hours ago" itself has its request here a moment later."""

MAX_PARAMETERS = 50
"""A request with more counts as the larger kind. No endpoint has so many."""


class Kind(Enum):
    """What a request needs."""

    HEALTH = "health checks"
    """And the page of the status, which is read when something else hangs."""
    RECENT = "requests about recent events"
    """Answered from memory, as are regions and errors."""
    OLD = "requests about older events"
    """They read from the lake or the database, and may take much memory."""
    RESULTS = "requests for results"
    """They read whole results, which takes the most memory of all."""
    POST = "posts"


def request_kind(request_line: bytes, recent_hours: float) -> Kind:
    """The kind of the request with this first line. What is malformed counts as RECENT: it is soon refused."""
    method, _, rest = request_line.decode("latin-1").partition(" ")
    path, _, query = rest.partition(" ")[0].partition("?")
    if method == "POST":
        return Kind.POST
    path = unquote(path).rstrip("/").lower()
    if path.endswith(("/health", "/status")):
        return Kind.HEALTH
    if path.endswith("/raw_stats") or "/orchestrators/" in path:
        return Kind.RESULTS
    return Kind.OLD if _asks_for_old_events(query, recent_hours) else Kind.RECENT


def _asks_for_old_events(query: str, recent_hours: float) -> bool:
    # most requests name no time; an escaped name is looked at closely
    if not any(mark in query for mark in ("since", "until", "window", "%")):
        return False
    try:
        parameters = parse_qs(query, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return True
    window = WINDOWS.get(parameters.get("window", [""])[0])
    if window is not None:
        return window > timedelta(hours=recent_hours) + WINDOW_SLACK
    if "since" not in parameters:
        # a window that has only an end begins at the first event
        return "until" in parameters
    try:
        since = parse_moment(parameters["since"][0])
        return since < datetime.now(UTC) - timedelta(hours=recent_hours) - WINDOW_SLACK
    except (ValueError, OverflowError):
        # the app refuses it
        return False


@dataclass
class _Slots(Generic[T]):
    """The threads of one kind, and who waits for one."""

    limit: int
    max_waiting: int
    max_wait_seconds: float
    running: int = 0
    waiting: deque[tuple[float, T]] = field(default_factory=deque)


class Admission(Generic[T]):
    """Decides over requests of type T, for the main loop of one worker.

    ``threads`` is how many there are for all kinds together, roughly: posts
    and recent events may each have half of them. Posts share transactions, so
    many at a time make them faster; requests for results are few, since each
    may take hundreds of MiB.
    """

    def __init__(self, threads: int) -> None:
        half, eighth, sixteenth = (max(1, threads // part) for part in (2, 8, 16))
        self._slots: dict[Kind, _Slots[T]] = {
            Kind.HEALTH: _Slots(4, 32, 5.0),
            Kind.RECENT: _Slots(half, 8 * half, 2.0),
            Kind.OLD: _Slots(eighth, 8 * eighth, 10.0),
            Kind.RESULTS: _Slots(sixteenth, 8 * sixteenth, 10.0),
            # a post must be decided before its tester leaves, after 8 s
            Kind.POST: _Slots(half, 8 * half, 1.0),
        }

    @property
    def max_running(self) -> int:
        """How many threads are needed at most."""
        return sum(slots.limit for slots in self._slots.values())

    @property
    def is_busy(self) -> bool:
        """Whether the next request may have to wait."""
        return any(slots.running >= slots.limit for slots in self._slots.values())

    def has_waiting(self, kind: Kind) -> bool:
        """Whether requests of this kind wait."""
        return bool(self._slots[kind].waiting)

    def enter(self, kind: Kind, request: T, now: float) -> bool | None:
        """True where the request may run now, None where it has to wait, and False where it is refused."""
        slots = self._slots[kind]
        if slots.running < slots.limit:
            slots.running += 1
            return True
        if len(slots.waiting) >= slots.max_waiting:
            return False
        slots.waiting.append((now + slots.max_wait_seconds, request))
        return None

    def leave(self, kind: Kind) -> T | None:
        """Notes that a request has run. Returns the one that may run in its place."""
        slots = self._slots[kind]
        if slots.waiting:
            return slots.waiting.popleft()[1]
        slots.running -= 1
        return None

    def take_expired(self, now: float) -> list[tuple[Kind, T]]:
        """The requests that have waited too long, which are refused."""
        expired = []
        for kind, slots in self._slots.items():
            while slots.waiting and slots.waiting[0][0] <= now:
                expired.append((kind, slots.waiting.popleft()[1]))
        return expired
