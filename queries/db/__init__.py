"""Connections to PostgreSQL: pools, one direct connection, and locks."""

from typing import TYPE_CHECKING

from queries._lazy import attach

if TYPE_CHECKING:
    from queries.db.advisory_lock import AdvisoryLock as AdvisoryLock
    from queries.db.arrow_pool import ArrowPool as ArrowPool
    from queries.db.connection_pool import ConnectionPool as ConnectionPool
    from queries.db.connection_pool import Lease as Lease
    from queries.db.connection_pool import was_used as was_used
    from queries.db.direct_connection import DirectConnection as DirectConnection
    from queries.db.driver_errors import is_outcome_known as is_outcome_known
    from queries.db.driver_errors import translate_psycopg2_error as translate_psycopg2_error
    from queries.db.dsn import conninfo as conninfo
    from queries.db.dsn import database_label as database_label
    from queries.db.transaction_settings import BEGIN_WITHOUT_LIMITS as BEGIN_WITHOUT_LIMITS
    from queries.db.transaction_settings import DURABLE_COMMIT as DURABLE_COMMIT
    from queries.db.transaction_settings import transaction_settings as transaction_settings

attach(
    __name__,
    {
        "AdvisoryLock": "queries.db.advisory_lock",
        "BEGIN_WITHOUT_LIMITS": "queries.db.transaction_settings",
        "ArrowPool": "queries.db.arrow_pool",
        "ConnectionPool": "queries.db.connection_pool",
        "Lease": "queries.db.connection_pool",
        "was_used": "queries.db.connection_pool",
        "DirectConnection": "queries.db.direct_connection",
        "is_outcome_known": "queries.db.driver_errors",
        "translate_psycopg2_error": "queries.db.driver_errors",
        "conninfo": "queries.db.dsn",
        "database_label": "queries.db.dsn",
        "DURABLE_COMMIT": "queries.db.transaction_settings",
        "transaction_settings": "queries.db.transaction_settings",
    },
)
