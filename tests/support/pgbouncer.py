"""A PgBouncer in transaction mode before the PostgreSQL of the tests."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
from psycopg2.extensions import parse_dsn

from leaderboard.postgres.system_user import run_as, server_account
from tests.support.programs import require_program
from tests.support.service import free_port
from tests.support.waiting import eventually

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
admin_users = admin
"""


@contextmanager
def pgbouncer(url: str, pool_size: int) -> Iterator[str]:
    """The URL of the database at ``url`` (that of an embedded server) through a PgBouncer, until the end of the block.

    It has ``pool_size`` connections to the database and no options that would
    hide a fault: it refuses startup parameters that it does not know, and
    resets nothing between two transactions. Skips the test where PgBouncer is
    not installed.
    """
    program = require_program("pgbouncer")
    server = parse_dsn(url)
    listen_port = free_port()
    with tempfile.TemporaryDirectory(prefix="leaderboard-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            CONFIGURATION.format(
                host=server["host"], port=server["port"], user=server["user"], listen_port=listen_port,
                pool_size=pool_size,
            ),
            encoding="utf-8",
        )  # fmt: skip
        # it refuses to run as root, and only the server's user may enter the folder of its socket
        process = subprocess.Popen(
            [program, file], **run_as(server_account()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            eventually(lambda: _listens(listen_port))
            yield f"postgresql://postgres@127.0.0.1:{listen_port}/{server['dbname']}?sslmode=disable"
        finally:
            process.terminate()
            process.wait(60)


def server_connections(url: str) -> int:
    """The number of connections that a PgBouncer has to the database of its URL."""
    address = parse_dsn(url)
    with closing(psycopg2.connect(f"host=127.0.0.1 port={address['port']} user=admin dbname=pgbouncer")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SHOW SERVERS")
            assert cursor.description is not None
            column = [description.name for description in cursor.description].index("database")
            return sum(row[column] == address["dbname"] for row in cursor.fetchall())


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
