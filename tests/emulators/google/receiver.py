"""An issuer's end of callbacks, and a verifier written from Google's description alone."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

Json = dict[str, Any]


@dataclass
class Receiver:
    """What came, oldest first; `answers` are the statuses to give, 200 when they are used up."""

    url: str
    came: list[Json] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def messages(self) -> list[Json]:
        """The signed messages, unverified."""
        return [json.loads(envelope["signedMessage"]) for envelope in self.came]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.came.append(json.loads(body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/google/callback")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _frame(*pieces: bytes) -> bytes:
    return b"".join(len(piece).to_bytes(4, "little") + piece for piece in pieces)


def _check(key_value: str, signature: str, data: bytes) -> None:
    key = load_der_public_key(base64.b64decode(key_value))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    key.verify(base64.b64decode(signature), data, ec.ECDSA(hashes.SHA256()))


def verify(envelope: Json, keys: Json, issuer: str) -> Json:
    """The message when everything holds; raises InvalidSignature or AssertionError."""
    assert envelope["protocolVersion"] == "ECv2SigningOnly"
    now = time.time() * 1000
    roots = [
        key["keyValue"]
        for key in keys["keys"]
        if key["protocolVersion"] == "ECv2SigningOnly" and int(key["keyExpiration"]) > now
    ]
    assert len(roots) == 1
    signing = envelope["intermediateSigningKey"]
    signed_key = signing["signedKey"].encode()
    _check(
        roots[0],
        signing["signatures"][0],
        _frame(b"GooglePayPasses", b"ECv2SigningOnly", signed_key),
    )
    intermediate = json.loads(signed_key)
    assert int(intermediate["keyExpiration"]) > now
    message = envelope["signedMessage"].encode()
    _check(
        intermediate["keyValue"],
        envelope["signature"],
        _frame(b"GooglePayPasses", issuer.encode(), b"ECv2SigningOnly", message),
    )
    read: Json = json.loads(message)
    assert read["expTimeMillis"] > now, "stale"
    return read
