"""What Apple's push service answers to a push: pure functions over one request.

Statuses, reasons and limits are those of Apple's "Sending notification requests to APNs" and
"Handling notification responses from APNs"; a Wallet push is a push whose topic is the pass
type id and whose payload is an empty JSON object.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson

MAX_PAYLOAD: Final = 4096
MAX_COLLAPSE_ID: Final = 64
DEVICE_PATH: Final = "/3/device/"

STATUS_BY_REASON: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(
        (
            "BadCollapseId",
            "BadDeviceToken",
            "BadExpirationDate",
            "BadMessageId",
            "BadPriority",
            "BadTopic",
            "DeviceTokenNotForTopic",
            "DuplicateHeaders",
            "IdleTimeout",
            "InvalidPushType",
            "MissingDeviceToken",
            "MissingTopic",
            "PayloadEmpty",
            "TopicDisallowed",
        ),
        400,
    )
    | dict.fromkeys(
        (
            "BadCertificate",
            "BadCertificateEnvironment",
            "BadEnvironmentKeyInToken",
            "ExpiredProviderToken",
            "Forbidden",
            "InvalidProviderToken",
            "MissingProviderToken",
            "UnrelatedKeyIdInToken",
        ),
        403,
    )
    | {"BadPath": 404, "MethodNotAllowed": 405}
    | {"ExpiredToken": 410, "Unregistered": 410, "PayloadTooLarge": 413}
    | {"TooManyProviderTokenUpdates": 429, "TooManyRequests": 429}
    | {"InternalServerError": 500, "ServiceUnavailable": 503, "Shutdown": 503}
)

PUSH_TYPES: Final = frozenset(
    {"alert", "background", "complication", "controls", "fileprovider", "liveactivity"}
    | {"location", "mdm", "pushtotalk", "voip", "widgets"}
)

_TOKEN: Final = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_SECONDS: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Request:
    """A push as it came; `body` holds at most one byte more than the largest payload."""

    method: str
    path: str
    headers: Mapping[str, str]
    repeated: frozenset[str]
    body: bytes

    @property
    def token(self) -> str:
        """The device token in the path, in lower case; empty when there is none."""
        return self.path.removeprefix(DEVICE_PATH).lower() if self.is_push else ""

    def with_body(self, body: bytes) -> Request:
        """The same request once its body is there."""
        return Request(self.method, self.path, self.headers, self.repeated, body)

    @property
    def is_push(self) -> bool:
        """Whether this is a POST to a device's path, whatever the token looks like."""
        return self.method == "POST" and self.path.startswith(DEVICE_PATH)


@dataclass(frozen=True, slots=True)
class Device:
    """A token as Apple knows it; `topic` None means any, `gone_at` is in ms since 1970."""

    topic: str | None = None
    gone_at: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer: the status, the reason of a refusal, and since when a 410 holds (ms)."""

    status: int
    reason: str | None = None
    timestamp: int | None = None

    def body(self) -> bytes:
        """The JSON body of a refusal; an accepted push has none."""
        if self.reason is None:
            return b""
        answer: dict[str, Any] = {"reason": self.reason}
        if self.timestamp is not None:
            answer["timestamp"] = self.timestamp
        return orjson.dumps(answer)


ACCEPTED: Final = Verdict(200)


def refusal(reason: str, timestamp: int | None = None) -> Verdict:
    """The refusal with this reason and the status that belongs to it."""
    return Verdict(STATUS_BY_REASON[reason], reason, timestamp)


def is_token(text: str) -> bool:
    """Whether this can be a device token: 32 to 100 bytes in hex."""
    return _TOKEN.fullmatch(text) is not None


def is_topic(text: str) -> bool:
    """Whether this can be a topic: dotted words, as in `pass.com.example.loyalty`."""
    return len(text) <= 255 and _TOPIC.fullmatch(text) is not None


def message_id(headers: Mapping[str, str]) -> str:
    """The id an answer carries: the one given when it is a UUID, otherwise a new one."""
    given = headers.get("apns-id", "")
    return given if _UUID.fullmatch(given) else str(uuid.uuid4()).upper()


def judge(
    request: Request, certificate_topic: str | None, devices: Mapping[str, Device]
) -> Verdict:
    """Apple's answer to a push over a connection whose certificate covers one topic.

    `certificate_topic` is the UID of the certificate's subject, None when it has none.
    """
    if certificate_topic is None:
        return refusal("BadCertificate")
    if request.method != "POST":
        return refusal("MethodNotAllowed")
    if not request.path.startswith(DEVICE_PATH):
        return refusal("BadPath")
    token = request.token
    if not token:
        return refusal("MissingDeviceToken")
    reason = _header_fault(request) or _payload_fault(request.body)
    if reason:
        return refusal(reason)
    if not is_token(token):
        return refusal("BadDeviceToken")
    # A certificate with a single topic makes the header optional; Pass Type ID certificates
    # have one.
    topic = request.headers.get("apns-topic", certificate_topic)
    if not topic:
        return refusal("MissingTopic")
    if not is_topic(topic):
        return refusal("BadTopic")
    if topic != certificate_topic:
        return refusal("TopicDisallowed")
    device = devices.get(token)
    if device is None:
        return ACCEPTED
    if device.topic is not None and device.topic != topic:
        return refusal("DeviceTokenNotForTopic")
    if device.gone_at is not None:
        return refusal("Unregistered", device.gone_at)
    return ACCEPTED


def _header_fault(request: Request) -> str | None:
    """The reason why a header is refused; header by header, the first that is wrong."""
    headers = request.headers
    if any(name.startswith("apns-") for name in request.repeated):
        return "DuplicateHeaders"
    if not _UUID.fullmatch(headers.get("apns-id", "00000000-0000-0000-0000-000000000000")):
        return "BadMessageId"
    if not _SECONDS.fullmatch(headers.get("apns-expiration", "0")):
        return "BadExpirationDate"
    priority = headers.get("apns-priority", "10")
    if priority not in ("1", "5", "10"):
        return "BadPriority"
    push_type = headers.get("apns-push-type")
    if push_type is not None and push_type not in PUSH_TYPES:
        return "InvalidPushType"
    # Immediate delivery is the default, so a background push must say that it can wait.
    if push_type == "background" and priority == "10":
        return "BadPriority"
    if len(headers.get("apns-collapse-id", "").encode("latin-1")) > MAX_COLLAPSE_ID:
        return "BadCollapseId"
    return None


def _payload_fault(body: bytes) -> str | None:
    """The reason why a payload is refused: too large, or nothing that can be delivered."""
    if len(body) > MAX_PAYLOAD:
        return "PayloadTooLarge"
    if body == b"{}":
        return None
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "PayloadEmpty"
    return None if isinstance(payload, dict) else "PayloadEmpty"
