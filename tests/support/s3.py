"""An S3 server on this machine, in a process of its own."""

import http.client
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Self

from tests.support.service import free_port
from tests.support.waiting import eventually

BUCKET = "bucket"


@dataclass
class S3Server:
    """A server with an empty bucket, which stops at the end of the ``with`` statement."""

    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.s3", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._creates_bucket)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that a client needs."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_REGION": "us-east-1",
        }

    def _creates_bucket(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("PUT", f"/{BUCKET}")
            return connection.getresponse().status == 200
        except OSError:
            assert self.process.poll() is None, "the S3 server does not start"
            return False
        finally:
            connection.close()


def main(port: int) -> None:
    """Serves until the process is ended."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    # moto checks whether a file exists and then writes it, so conditional puts are only safe one at a time
    make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), threaded=False).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
