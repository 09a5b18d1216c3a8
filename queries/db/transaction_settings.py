"""What each of our transactions sets for itself, whatever the role, the database or the environment has set.

A session must not keep anything, because a pooler may give the server
connection to another client after each transaction.
"""


def transaction_settings(timeout: float) -> str:
    """SQL statements that are the first of a transaction. They return no rows and need no snapshot.

    The server cancels each statement that takes longer than ``timeout``
    seconds; 0 means no limit. The search path is the one that the URL, the
    role or the database sets, since that is how an operator chooses a schema;
    one that another client of a pooler left behind does not count.
    """
    # 0 would mean no limit
    milliseconds = max(1, round(timeout * 1000)) if timeout else 0
    return (
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
        "SET LOCAL search_path TO DEFAULT; "
        "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
        f"SET LOCAL statement_timeout = {milliseconds}"
    )


# a role may have it off, and then a crash of the server loses commits that were confirmed
DURABLE_COMMIT = """SELECT set_config('synchronous_commit', 'on', true)
    WHERE current_setting('synchronous_commit') = 'off'"""
"""Makes the COMMIT of the present transaction wait until it is on disk."""
# PostgreSQL 17 has another limit, which older ones refuse to set
BEGIN_WITHOUT_LIMITS = f"""BEGIN; {transaction_settings(0)}; SELECT set_config('transaction_timeout', '0', true)
    WHERE current_setting('server_version_num')::int >= 170000"""
"""Begins a transaction that may take as long as it needs, as may each of its statements and each pause."""
