"""An S3 server on this machine, in a process of its own."""

import http.client
import subprocess
import sys
import time
from dataclasses import dataclass, field

from tests.support.service import free_port

BUCKET = "bucket"


@dataclass
class S3:
    """A server with an empty bucket. Ends with the ``with`` statement that it is used in."""

    port: int = field(default_factory=free_port)

    def __enter__(self) -> "S3":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.s3", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                assert self.ask("PUT", f"/{BUCKET}") == 200
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    @property
    def variables(self) -> dict[str, str]:
        """What a client's environment must have."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_REGION": "us-east-1",
        }

    def ask(self, method: str, path: str) -> int:
        """The status of the answer to a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()


def main(port: int) -> None:
    """Serves until the process is ended."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    # one request at a time, as it looks whether there is a file and then writes it
    make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), threaded=False).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
