"""Google's side of callbacks, written for the tests: keys, signatures, and ways to spoil them."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "3388000000022222222"


def millis(moment: datetime) -> int:
    """As Google counts time."""
    return int(moment.timestamp() * 1000)


def packed(*parts: str) -> bytes:
    """What is signed."""
    raw = [part.encode("utf-8") for part in parts]
    return b"".join(struct.pack("<I", len(part)) + part for part in raw)


def public(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half, as it travels."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(spki).decode()


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    """An ECDSA signature, as it travels."""
    return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key on the right curve."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Google:
    """A root and an intermediate key, and callbacks signed with them."""

    now: datetime
    root: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def published(self, *, days: float = 300, protocol: str = "ECv2SigningOnly") -> dict[str, Any]:
        """The key server's document."""
        expires = millis(self.now + timedelta(days=days))
        return {
            "keys": [
                {
                    "keyValue": public(self.root),
                    "protocolVersion": protocol,
                    "keyExpiration": str(expires),
                }
            ]
        }

    def message(self, **changes: Any) -> dict[str, Any]:
        """What a callback says."""
        return {
            "classId": f"{ISSUER}.club",
            "objectId": f"{ISSUER}.card",
            "eventType": "save",
            "expTimeMillis": millis(self.now + timedelta(hours=1)),
            "count": 1,
            "nonce": "9f1c2f5e-8c43-4b63-8f5b-3f5a5d1e4f10",
        } | changes

    def envelope(
        self,
        message: dict[str, Any] | str | None = None,
        *,
        issuer: str = ISSUER,
        days: float = 5,
    ) -> dict[str, Any]:
        """A genuine callback; the intermediate key is good for so many days."""
        said = message if isinstance(message, str) else json.dumps(
            message or self.message(), ensure_ascii=False
        )  # fmt: skip
        signed_key = json.dumps(
            {
                "keyValue": public(self.key),
                "keyExpiration": str(millis(self.now + timedelta(days=days))),
            }
        )
        return {
            "signature": sign(self.key, packed("GooglePayPasses", issuer, "ECv2SigningOnly", said)),
            "intermediateSigningKey": {
                "signedKey": signed_key,
                "signatures": [
                    sign(self.root, packed("GooglePayPasses", "ECv2SigningOnly", signed_key))
                ],
            },
            "protocolVersion": "ECv2SigningOnly",
            "signedMessage": said,
        }
