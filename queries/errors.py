"""What can go wrong while events are read."""


class StoreUnavailable(Exception):
    """The store of the events cannot be reached; the same call may work later."""


class StoreTimeout(Exception):
    """The store took longer than it was given, so there is no answer rather than part of one."""


class SchemaError(ValueError):
    """A frame is not a frame of events; the message names the column."""


def store_error(sqlstate: str | None, *, lost: bool) -> Exception | None:
    """What a database error means to a caller; None where it is a mistake of the statement.

    ``sqlstate`` is PostgreSQL's, ``lost`` whether a driver that gave none had
    no working connection. 57014 is a cancelled statement, as statement_timeout
    leaves it; class 08 is a lost connection, 53 a database short of disk,
    memory or connections, 57 one that stops or starts; 25006 is a standby
    that takes no writes.
    """
    state = sqlstate or ""
    if state == "57014":
        return StoreTimeout("the database took too long")
    if state[:2] in ("08", "53", "57") or state == "25006" or (lost and not state):
        return StoreUnavailable("the database is not available")
    return None
