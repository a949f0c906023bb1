"""Whether a callback is Google's: the protocol ECv2SigningOnly, verified whole.

A root key, published by Google, signs an intermediate key; that signs the message. What is signed
are texts behind their lengths, and a length counts bytes. Everything that can be wrong has a name,
and nothing here looks anything up: keys, issuer and time are given.
Source: developers.google.com/pay/api/web/guides/resources/payment-data-cryptography, and
developers.google.com/wallet/generic/use-cases/use-callbacks-for-saves-and-deletions.
"""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROTOCOL: Final = "ECv2SigningOnly"
SENDER: Final = "GooglePayPasses"
_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())
# Year 9999: what lies beyond is no moment, and Google means no such thing.
_LATEST: Final = 253_402_300_799_999

Milliseconds = Annotated[int, Field(ge=0, le=_LATEST)]


class Fault(enum.StrEnum):
    """Why a callback is not believed."""

    MALFORMED = "malformed"
    PROTOCOL = "another protocol"
    UNKNOWN_ROOT = "the intermediate key is signed by no root key"
    KEY_EXPIRED = "the intermediate key has expired"
    FORGED = "the message is not signed by the intermediate key, or is another issuer's"
    EXPIRED = "the message has expired"
    FOREIGN = "the message is about another issuer's pass"


class NotGenuine(Exception):
    """A callback that is not to be acted upon, and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class EventType(enum.StrEnum):
    """What somebody did with a pass."""

    SAVE = "save"
    DELETE = "del"


class Event(BaseModel):
    """What a callback says. `nonce` tells deliveries of one event from another event."""

    model_config = ConfigDict(frozen=True)

    class_id: str = Field(alias="classId", max_length=200)
    object_id: str = Field(alias="objectId", max_length=200)
    kind: EventType = Field(alias="eventType")
    expires: Milliseconds = Field(alias="expTimeMillis")
    nonce: str = Field(min_length=1, max_length=200)
    count: int | None = None

    @property
    def expires_at(self) -> datetime:
        """Until when it may be acted upon. Later events expire later."""
        return _moment(self.expires)


class _IntermediateKey(BaseModel):
    signed_key: str = Field(alias="signedKey")
    signatures: list[str] = Field(max_length=20)


class _Envelope(BaseModel):
    protocol: str = Field(alias="protocolVersion")
    signature: str
    intermediate: _IntermediateKey = Field(alias="intermediateSigningKey")
    message: str = Field(alias="signedMessage")


class _SignedKey(BaseModel):
    value: str = Field(alias="keyValue")
    expires: Milliseconds = Field(alias="keyExpiration")


class _PublishedKey(_SignedKey):
    protocol: Literal["ECv2SigningOnly"] = Field(alias="protocolVersion")


@dataclass(frozen=True)
class RootKey:
    """A key that Google signs intermediate keys with."""

    key: ec.EllipticCurvePublicKey
    expires_at: datetime


def root_keys(published: object) -> list[RootKey]:
    """The root keys in Google's published document that are ours to use: of this protocol, with an
    expiry. Others are left out, and so is what cannot be read."""
    entries = published.get("keys") if isinstance(published, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else ():
        try:
            known = _PublishedKey.model_validate(entry)
            found.append(RootKey(_public_key(known.value), _moment(known.expires)))
        except (ValidationError, NotGenuine):
            continue
    return found


def verify(body: bytes, roots: Iterable[RootKey], issuer_id: str, now: datetime) -> Event:
    """What a callback says, once it is known to be Google's and for this issuer.

    `issuer_id` is the installation's own: the one in the message proves nothing before the
    signature over it does. Raises NotGenuine.
    """
    try:
        envelope = _Envelope.model_validate_json(body)
    except ValidationError:
        raise NotGenuine(Fault.MALFORMED) from None
    if envelope.protocol != PROTOCOL:
        raise NotGenuine(Fault.PROTOCOL)
    key = _intermediate_key(envelope.intermediate, roots, now)
    if not _is_signed([key], [envelope.signature], (SENDER, issuer_id, PROTOCOL, envelope.message)):
        raise NotGenuine(Fault.FORGED)
    try:
        event = Event.model_validate_json(envelope.message)
    except ValidationError:
        raise NotGenuine(Fault.MALFORMED) from None
    if event.expires_at <= now:
        raise NotGenuine(Fault.EXPIRED)
    if event.object_id.partition(".")[0] != issuer_id:
        raise NotGenuine(Fault.FOREIGN)
    return event


def _intermediate_key(
    given: _IntermediateKey, roots: Iterable[RootKey], now: datetime
) -> ec.EllipticCurvePublicKey:
    """The key that messages are signed with, once a root key that is valid now vouches for it."""
    valid = [root.key for root in roots if root.expires_at > now]
    if not _is_signed(valid, given.signatures, (SENDER, PROTOCOL, given.signed_key)):
        raise NotGenuine(Fault.UNKNOWN_ROOT)
    try:
        signed = _SignedKey.model_validate_json(given.signed_key)
    except ValidationError:
        raise NotGenuine(Fault.MALFORMED) from None
    if _moment(signed.expires) <= now:
        raise NotGenuine(Fault.KEY_EXPIRED)
    return _public_key(signed.value)


def _is_signed(
    keys: Sequence[ec.EllipticCurvePublicKey], signatures: Sequence[str], texts: Sequence[str]
) -> bool:
    """Whether any of the keys made any of the signatures over the texts."""
    signed = b"".join(_with_length(text) for text in texts)
    for signature in map(_bytes, signatures):
        for key in keys:
            try:
                key.verify(signature, signed, _ALGORITHM)
            except InvalidSignature:
                continue
            return True
    return False


def _with_length(text: str) -> bytes:
    """A text in UTF-8 behind the number of its bytes, in four bytes, the lowest first."""
    encoded = text.encode()
    return len(encoded).to_bytes(4, "little") + encoded


def _public_key(value: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(_bytes(value))
    except (ValueError, UnsupportedAlgorithm):
        raise NotGenuine(Fault.MALFORMED) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NotGenuine(Fault.MALFORMED)
    return key


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise NotGenuine(Fault.MALFORMED) from None


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
