"""A push service that accepts everything at once: the fast end of the push benchmarks.

Granian's RSGI over HTTP/2 and TLS with required client certificates, in a process of its
own, on loopback. It stands in for Apple where speed is measured; it checks nothing, and
tells whoever asks with GET how many pushes it accepted and when the last one came; asked at a
device's address, when that one's last push came (from the first asking on).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pycurl

from walletsvc.apple.factory import ClientIdentity
from walletsvc.emulators.apns import create_identity

_START_SECONDS = 20
_DEVICE = "/3/device/"


class _Counter:
    """What the sink's one worker accepted."""

    count = 0
    last = 0.0
    watched: ClassVar[dict[str, float]] = {}


async def app(scope: Any, protocol: Any) -> None:
    """Accept a push, or answer how many there were and the monotonic time of the last."""
    if scope.method == "GET" and scope.path.startswith(_DEVICE):
        protocol.response_str(200, [], str(_Counter.watched.setdefault(scope.path, 0.0)))
        return
    if scope.method == "GET":
        protocol.response_str(200, [], f"{_Counter.count} {_Counter.last}")
        return
    await protocol()
    _Counter.count += 1
    _Counter.last = time.monotonic()
    if scope.path in _Counter.watched:
        _Counter.watched[scope.path] = _Counter.last
    protocol.response_empty(200, [])


class Sink:
    """A running sink, as the benchmarks see it."""

    def __init__(self, port: int, ca_file: Path, identity: ClientIdentity) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.ca_file = ca_file
        self.identity = identity

    def prepare(self, curl: pycurl.Curl) -> None:
        """Let a handle talk to the sink."""
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.CAINFO, str(self.ca_file))
        curl.setopt(pycurl.SSLCERT_BLOB, self.identity.certificate_pem)
        curl.setopt(pycurl.SSLKEY_BLOB, self.identity.key_pem)
        curl.setopt(pycurl.PROXY, "")

    def accepted(self) -> tuple[int, float]:
        """How many pushes came so far, and the monotonic time of the last."""
        curl = pycurl.Curl()
        self.prepare(curl)
        curl.setopt(pycurl.URL, self.url)
        count, last = curl.perform_rs().split()
        curl.close()
        return int(count), float(last)

    def told(self, token: str) -> float:
        """The monotonic time of the last push to this device since it was first asked for; 0
        when none came."""
        curl = pycurl.Curl()
        self.prepare(curl)
        curl.setopt(pycurl.URL, f"{self.url}{_DEVICE}{token}")
        answer = curl.perform_rs()
        curl.close()
        return float(answer)


@contextmanager
def running(folder: Path, port: int, trusted: Path, identity: ClientIdentity) -> Iterator[Sink]:
    """A sink for the time of the block; `trusted` is the authority of its clients, `identity`
    one of them."""
    create_identity(folder)
    command = [sys.executable, "-m", "bench.sink", str(folder), str(port), str(trusted)]
    process = subprocess.Popen(command)
    try:
        sink = Sink(port, folder / "ca.pem", identity)
        _await(process, sink)
        yield sink
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await(process: subprocess.Popen[bytes], sink: Sink) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            sink.accepted()
        except pycurl.error:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The sink did not start.")


def main(folder: Path, port: int, trusted: Path) -> None:
    """Serve until terminated."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    Granian(
        "bench.sink:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http2,
        workers=1,
        workers_kill_timeout=2,
        log_enabled=False,
        ssl_cert=folder / "server.pem",
        ssl_key=folder / "server-key.pem",
        ssl_ca=trusted,
        ssl_client_verify=True,
    ).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
