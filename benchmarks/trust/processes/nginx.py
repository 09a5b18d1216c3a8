"""nginx before the service, with the configuration that the documentation recommends."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.trust.processes.programs import find_program
from benchmarks.trust.processes.service import TrialError, free_port, wait_for

CONFIG = Path(__file__).parents[3] / "deploy" / "nginx"
TLS_FILES = ("fullchain.pem", "privkey.pem")
"""A certificate and its key, in the folder of an nginx that ends TLS."""


@contextmanager
def running_nginx(folder: Path, service_port: int, *, https_port: int | None = None) -> Iterator[int]:
    """The port of an nginx that passes requests on to the service. Its files are in ``folder``.

    With ``https_port`` it ends TLS there, with the TLS_FILES that are in the
    folder already. Raises TrialError where nginx is not installed or does not
    start.
    """
    program = find_program("nginx")
    if program is None:
        raise TrialError("nginx is not installed")
    port = free_port()
    _write_config(folder, service_port, port, https_port)
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


def _write_config(folder: Path, service_port: int, port: int, https_port: int | None) -> None:
    """Writes the files of CONFIG with the ports and folders of this run."""
    places = [f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    replaced = {
        "listen 80;": f"listen 127.0.0.1:{port};",
        "listen 443 ": f"listen 127.0.0.1:{https_port} ",
        "127.0.0.1:8080": f"127.0.0.1:{service_port}",
        "/var/cache/leaderboard": f"{folder}/cache",
        "/etc/ssl/leaderboard": str(folder),
        "http {": "\n".join(["http {", "access_log off;", *places]),
    }
    if https_port is not None:
        replaced["include http.conf;"] = "include https.conf;"
    for file in CONFIG.iterdir():
        text = file.read_text(encoding="utf-8")
        for old, new in replaced.items():
            text = text.replace(old, new)
        if file.name == "nginx.conf":
            # a user of its own could not write into the folder
            user = "user root;\n" if os.geteuid() == 0 else ""
            text = f"{user}daemon off;\npid {folder}/pid;\n{text}"
        (folder / file.name).write_text(text, encoding="utf-8")
