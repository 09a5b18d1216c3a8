"""PgBouncer between the service and its database, in transaction mode."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.trust.processes.programs import find_program
from benchmarks.trust.processes.service import TrialError, wait_for
from leaderboard.postgres.system_user import server_account

PORT = 6432
CONFIG = """
[databases]
* = host={target} port=5432 user=postgres

[pgbouncer]
unix_socket_dir = {folder}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
; else it waits 15 s after a failed login, though the database is back
server_login_retry = 1
logfile = {folder}/pgbouncer.log
"""


class TrialPooler:
    """A PgBouncer that pools connections to the server whose socket is in the folder ``target``."""

    def __init__(self, folder: Path, target: Path) -> None:
        folder.mkdir()
        # PgBouncer gives up root, and its socket is there
        folder.chmod(0o777)
        self.socket = folder / f".s.PGSQL.{PORT}"
        self._config = folder / "pgbouncer.ini"
        self._config.write_text(CONFIG.format(target=target, folder=folder, port=PORT))

    @contextmanager
    def running(self) -> Iterator["TrialPooler"]:
        """Runs it until the end of the ``with`` statement."""
        self.start()
        try:
            yield self
        finally:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Returns when it accepts connections."""
        program = find_program("pgbouncer")
        if program is None:
            raise TrialError("pgbouncer is not installed")
        account = server_account()
        command = [str(program), "--quiet", *(["--user", account.pw_name] if account else []), str(self._config)]
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(self.socket.exists, "PgBouncer does not start")

    def restart(self) -> None:
        """Kills it, which breaks all connections on both sides, and starts it again."""
        self._process.kill()
        self._process.wait()
        self.start()
