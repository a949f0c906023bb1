"""A push service that accepts everything at once: the fast end of `push_e2e`.

Granian's RSGI over HTTP/2 and TLS with required client certificates, in a process of its
own, on loopback. It stands in for Apple where speed is measured; it checks nothing.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_START_SECONDS = 20


@dataclass(frozen=True)
class Sink:
    """Where the sink listens, and what a client needs to be let in."""

    url: str
    ca_file: Path
    certificate_pem: bytes
    key_pem: bytes


async def app(_scope: Any, protocol: Any) -> None:
    """Answer 200 with an empty body."""
    await protocol()
    protocol.response_empty(200, [])


@contextmanager
def running(folder: Path) -> Iterator[Sink]:
    """A sink on a free port for the time of the block; its certificates go into `folder`."""
    _write_certificates(folder)
    port = _free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.sink", str(folder), str(port)])
    try:
        _await(process, port)
        yield Sink(
            f"https://127.0.0.1:{port}",
            folder / "ca.pem",
            (folder / "client.pem").read_bytes(),
            (folder / "client.key").read_bytes(),
        )
    finally:
        process.terminate()
        process.wait(timeout=20)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The sink did not start.")


def _write_certificates(folder: Path) -> None:
    """One authority for both sides, a server certificate for loopback, a client's."""
    authority_key = _key()
    authority = _certificate("Bench authority", authority_key, None, authority_key)
    (folder / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for name in ("server", "client"):
        key = _key()
        certificate = _certificate(f"Bench {name}", key, authority, authority_key)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _certificate(
    name: str,
    key: rsa.RSAPrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: rsa.RSAPrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(loopback, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def main(folder: Path, port: int) -> None:
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
        ssl_key=folder / "server.key",
        ssl_ca=folder / "ca.pem",
        ssl_client_verify=True,
    ).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
