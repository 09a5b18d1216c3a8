"""nginx before the service, with the configuration that the documentation recommends."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.trust.processes.programs import find_program
from benchmarks.trust.processes.service import TrialError, free_port, wait_for

CONFIG = Path(__file__).parents[3] / "deploy" / "nginx.conf"


@contextmanager
def running_nginx(folder: Path, service_port: int) -> Iterator[int]:
    """The port of an nginx that passes requests on to the service. Its files are in ``folder``.

    Raises TrialError where nginx is not installed or does not start.
    """
    program = find_program("nginx")
    if program is None:
        raise TrialError("nginx is not installed")
    port = free_port()
    places = [f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    config = (
        CONFIG.read_text(encoding="utf-8")
        .replace("listen 80;", f"listen 127.0.0.1:{port};")
        .replace("127.0.0.1:8080", f"127.0.0.1:{service_port}")
        .replace("http {", "\n".join(["http {", "access_log off;", *places]))
    )
    # a user of its own could not write into the folder
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"{user}daemon off;\npid {folder}/pid;\n{config}", encoding="utf-8")
    command = [str(program), "-e", str(folder / "errors"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def accepts() -> bool:
        if process.poll() is not None:
            raise TrialError(f"nginx does not start: {(folder / 'errors').read_text(encoding='utf-8')}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    try:
        wait_for(accepts, "nginx does not start")
        yield port
    finally:
        process.terminate()
        process.wait()
