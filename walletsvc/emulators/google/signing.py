"""Signatures on callbacks: ECv2SigningOnly, a root key over an intermediate over the message."""

from __future__ import annotations

import base64
import struct
import time
from pathlib import Path
from typing import Final

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from walletsvc.emulators.google.accounts import write_secret
from walletsvc.emulators.google.errors import Json

PROTOCOL: Final = "ECv2SigningOnly"
SENDER: Final = "GooglePayPasses"
ROOT_FILE: Final = "callback-root-key.pem"
ROOT_SECONDS: Final = 365 * 86_400
INTERMEDIATE_SECONDS: Final = 7 * 86_400
_ES256: Final = ec.ECDSA(hashes.SHA256())


def length_value(*texts: str) -> bytes:
    """Each text as UTF-8 behind its length in bytes, four of them, little-endian."""
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(item)) + item for item in encoded)


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half as these messages carry it: DER in base64."""
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    return base64.b64encode(key.sign(data, _ES256)).decode()


def _milliseconds(seconds_from_now: float) -> str:
    return str(int((time.time() + seconds_from_now) * 1000))


class Signer:
    """The keys of one emulator. The root outlives a restart when there is a folder for it."""

    def __init__(self, folder: Path | None = None) -> None:
        self._root = _root(folder)
        self._root_expiry = _milliseconds(ROOT_SECONDS)
        self.rotate()

    def rotate(self) -> None:
        """A new intermediate key, signed by the root."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._signed_key = orjson.dumps(
            {
                "keyValue": public_text(self._key),
                "keyExpiration": _milliseconds(INTERMEDIATE_SECONDS),
            }
        ).decode()
        signed = length_value(SENDER, PROTOCOL, self._signed_key)
        self._key_signature = _sign(self._root, signed)

    def published(self) -> Json:
        """What the key server answers."""
        return {
            "keys": [
                {
                    "keyValue": public_text(self._root),
                    "protocolVersion": PROTOCOL,
                    "keyExpiration": self._root_expiry,
                }
            ]
        }

    def envelope(self, issuer_id: str, message: str, *, forged: bool = False) -> Json:
        """A message with its signatures; a forged one is signed by a key nobody vouches for."""
        key = ec.generate_private_key(ec.SECP256R1()) if forged else self._key
        return {
            "signature": _sign(key, length_value(SENDER, issuer_id, PROTOCOL, message)),
            "intermediateSigningKey": {
                "signedKey": self._signed_key,
                "signatures": [self._key_signature],
            },
            "protocolVersion": PROTOCOL,
            "signedMessage": message,
        }


def _root(folder: Path | None) -> ec.EllipticCurvePrivateKey:
    file = folder and folder / ROOT_FILE
    if file is not None and file.exists():
        key = serialization.load_pem_private_key(file.read_bytes(), None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    key = ec.generate_private_key(ec.SECP256R1())
    if file is not None:
        write_secret(
            file,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
    return key
