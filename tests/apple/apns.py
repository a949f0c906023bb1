"""The push service's emulator in a process of its own, and certificates it accepts."""

from __future__ import annotations

import datetime as dt
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from walletsvc.apple.apns import ApnsClient
from walletsvc.core.clock import Clock, utcnow

_RUN = (
    "import sys; from pathlib import Path; from walletsvc.emulators.apns import run;"
    "run(Path(sys.argv[1]), int(sys.argv[2]), [Path(sys.argv[3])])"
)
_START_SECONDS = 20


@dataclass(frozen=True)
class KeyPair:
    """A client certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues client certificates as Apple does: the topic is the subject's UID."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.pem = self._sign(self._name, self._key, ca=True, days=10)

    def issue(self, topic: str, *, days: int = 10) -> KeyPair:
        """A certificate for a topic, valid from now for so many days; negative: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.USER_ID, topic),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Pass Type ID: {topic}"),
            ]
        )
        return KeyPair(
            self._sign(subject, key, ca=False, days=days),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool, days: int
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder(self._name, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=30))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


class Emulator:
    """A running emulator and the means to see and break it."""

    def __init__(self, folder: Path, port: int, authority: Authority) -> None:
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.ca_file = folder / "ca.pem"
        self._control = f"http://127.0.0.1:{port + 1}/_"
        self._authority = authority
        self._seen = 0

    def client(
        self,
        topic: str,
        *,
        request_seconds: float = 30,
        connect_seconds: float = 10,
        clock: Clock = utcnow,
        port: int | None = None,
    ) -> ApnsClient:
        """A client with a certificate for this topic; `port` is that of a relay."""
        pair = self._authority.issue(topic)
        return ApnsClient(
            f"https://127.0.0.1:{port}" if port else self.url,
            pair.certificate,
            pair.key,
            self.ca_file,
            request_seconds=request_seconds,
            connect_seconds=connect_seconds,
            clock=clock,
        )

    def reset(self) -> None:
        """Disarm all faults and forget what was received so far."""
        requests.delete(f"{self._control}/faults", timeout=5).raise_for_status()
        log = self._log()
        self._seen = log[-1]["seq"] if log else self._seen

    def fail(self, fault: str, count: int = 1, **details: Any) -> None:
        """Have the next pushes fail in a named way."""
        body = {"fault": fault, "count": count, **details}
        requests.post(f"{self._control}/faults", json=body, timeout=5).raise_for_status()

    def disarm(self) -> None:
        """Let everything succeed from now on."""
        requests.delete(f"{self._control}/faults", timeout=5).raise_for_status()

    def limit_streams(self, limit: int) -> None:
        """Allow so many streams per connection, also on those that are open."""
        body = {"max_concurrent_streams": limit}
        requests.post(f"{self._control}/settings", json=body, timeout=5).raise_for_status()

    def await_token(self, token: str, seconds: float) -> dict[str, Any]:
        """The first push to this token since the last reset; waits so long for it."""
        query: dict[str, Any] = {"after": self._seen, "token": token, "wait": seconds}
        answer = requests.get(f"{self._control}/log", params=query, timeout=seconds + 5)
        answer.raise_for_status()
        entries: list[dict[str, Any]] = answer.json()
        assert entries, "no push came in time"
        return entries[0]

    def received(self) -> list[dict[str, Any]]:
        """What came since the last reset, oldest first."""
        return self._log()

    def accepted(self) -> list[str]:
        """The device tokens whose pushes were answered 200, in order."""
        return [entry["token"] for entry in self._log() if entry["status"] == 200]

    def _log(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self._control}/log", params={"after": self._seen}, timeout=5)
        answer.raise_for_status()
        entries: list[dict[str, Any]] = answer.json()
        return entries


class Relay:
    """Stands between client and emulator: counts connections, and falls silent on demand as
    a network does that drops everything without a word."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.silent = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with source:
            try:
                while data := source.recv(65536):
                    if not self.silent:
                        target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                return


def dead_address() -> str:
    """An address on this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"https://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def running(folder: Path) -> Iterator[Emulator]:
    """An emulator for the time of the block."""
    authority = Authority()
    trust = folder / "authority.pem"
    trust.write_bytes(authority.pem)
    port = _free_ports()
    command = [sys.executable, "-c", _RUN, str(folder), str(port), str(trust)]
    with subprocess.Popen(command) as process:
        try:
            _await(process, port + 1)
            yield Emulator(folder, port, authority)
        finally:
            process.terminate()


def _free_ports() -> int:
    """A free port whose next one is free as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except (OSError, OverflowError):
                continue
            return port


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the emulator did not start")


@pytest.fixture(name="emulator_process", scope="module")
def emulator_process_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulator for the tests of a module."""
    with running(tmp_path_factory.mktemp("apns")) as emulator:
        yield emulator


@pytest.fixture(name="emulator")
def emulator_fixture(emulator_process: Emulator) -> Emulator:
    """A push service with nothing armed that has received nothing yet."""
    emulator_process.reset()
    return emulator_process
