"""Callbacks: what is Google's is believed, and whatever is spoiled in one is found."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.google.signing import ISSUER, Google, millis, new_key, packed, public, sign
from walletsvc.google.signatures import EventType, Fault, NotGenuine, root_keys, verify

Json = dict[str, Any]


@pytest.fixture(scope="module")
def google() -> Google:
    return Google(NOW)


def checked(google: Google, envelope: Json, now: datetime = NOW, issuer: str = ISSUER) -> Any:
    return verify(json.dumps(envelope).encode(), root_keys(google.published()), issuer, now)


def refused(google: Google, envelope: Json, now: datetime = NOW, issuer: str = ISSUER) -> Fault:
    with pytest.raises(NotGenuine) as caught:
        checked(google, envelope, now, issuer)
    return caught.value.fault


@pytest.mark.parametrize("kind", ["save", "del"])
def test_a_genuine_callback_says_what_happened(google: Google, kind: str) -> None:
    """Object, class, event, nonce, and until when it counts."""
    event = checked(google, google.envelope(google.message(eventType=kind)))
    assert event.kind is EventType(kind)
    assert event.object_id == f"{ISSUER}.card"
    assert event.class_id == f"{ISSUER}.club"
    assert event.expires_at == NOW + timedelta(hours=1)
    assert event.count == 1


@pytest.mark.parametrize("text", ["Карта «Баня»", "カード", "é" * 90, "🎁"])
def test_lengths_count_bytes(google: Google, text: str) -> None:
    """Letters beyond ASCII take two to four bytes each."""
    assert checked(google, google.envelope(google.message(nonce=text))).nonce == text


def test_any_root_and_any_signature_will_do(google: Google) -> None:
    """Google rotates its keys: two are published, and the intermediate bears two signatures."""
    envelope = google.envelope()
    other = Google(NOW)
    signatures = envelope["intermediateSigningKey"]["signatures"]
    signatures.insert(0, other.envelope()["intermediateSigningKey"]["signatures"][0])
    published = {"keys": [*other.published()["keys"], *google.published()["keys"]]}
    verify(json.dumps(envelope).encode(), root_keys(published), ISSUER, NOW)


def _flip(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def _edit(part: str, **changes: Any) -> Callable[[Json], None]:
    def edit(envelope: Json) -> None:
        holder = envelope["intermediateSigningKey"] if part == "signedKey" else envelope
        holder[part] = json.dumps(json.loads(holder[part]) | changes)

    return edit


def _set(*path: Any, value: Any = None, change: Callable[[Any], Any] | None = None) -> Any:
    def put(envelope: Json) -> None:
        holder: Any = envelope
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = change(holder[path[-1]]) if change else value

    return put


TAMPERED: list[tuple[str, Callable[[Json], None], Fault]] = [
    ("protocol", _set("protocolVersion", value="ECv1"), Fault.PROTOCOL),
    ("signature", _set("signature", change=_flip), Fault.FORGED),
    ("signature in no base64", _set("signature", value="§"), Fault.MALFORMED),
    (
        "signature with a stray sign",
        _set("signature", change=lambda said: f"{said[:8]}.{said[8:]}"),
        Fault.MALFORMED,
    ),
    ("object", _edit("signedMessage", objectId=f"{ISSUER}.other"), Fault.FORGED),
    ("class", _edit("signedMessage", classId=f"{ISSUER}.other"), Fault.FORGED),
    ("event", _edit("signedMessage", eventType="del"), Fault.FORGED),
    ("expiry", _edit("signedMessage", expTimeMillis=millis(NOW) * 2), Fault.FORGED),
    ("count", _edit("signedMessage", count=9), Fault.FORGED),
    ("nonce", _edit("signedMessage", nonce="another"), Fault.FORGED),
    ("spaces", _set("signedMessage", change=lambda said: said + " "), Fault.FORGED),
    ("key", _edit("signedKey", keyValue=public(new_key())), Fault.UNKNOWN_ROOT),
    ("key's expiry", _edit("signedKey", keyExpiration=str(millis(NOW) * 2)), Fault.UNKNOWN_ROOT),
    (
        "key's signature",
        _set("intermediateSigningKey", "signatures", 0, change=_flip),
        Fault.UNKNOWN_ROOT,
    ),
    ("no signature", _set("intermediateSigningKey", "signatures", value=[]), Fault.UNKNOWN_ROOT),
]


@pytest.mark.parametrize(("_what", "spoil", "fault"), TAMPERED, ids=[t[0] for t in TAMPERED])
def test_each_spoiled_field_is_found(
    google: Google, _what: str, spoil: Callable[[Json], None], fault: Fault
) -> None:
    """The genuine one is believed; with one thing changed it is refused for just that."""
    envelope = google.envelope()
    assert checked(google, envelope).nonce
    spoiled = copy.deepcopy(envelope)
    spoil(spoiled)
    assert refused(google, spoiled) is fault


@pytest.mark.parametrize(
    "name", ["protocolVersion", "signature", "intermediateSigningKey", "signedMessage"]
)
def test_nothing_may_be_missing(google: Google, name: str) -> None:
    """Half an envelope is none."""
    envelope = google.envelope()
    del envelope[name]
    assert refused(google, envelope) is Fault.MALFORMED


def test_another_issuers_callback_is_refused(google: Google) -> None:
    """Its signature names the issuer; the message's own word for it counts for nothing."""
    assert refused(google, google.envelope(issuer="3388000000099999999")) is Fault.FORGED
    foreign = google.message(objectId="3388000000099999999.card")
    assert refused(google, google.envelope(foreign)) is Fault.FOREIGN


def test_what_has_expired_is_refused(google: Google) -> None:
    """Message and intermediate key end at their moment, not after it."""
    envelope = google.envelope()
    last = timedelta(milliseconds=1)
    assert checked(google, envelope, NOW + timedelta(hours=1) - last)
    assert refused(google, envelope, NOW + timedelta(hours=1)) is Fault.EXPIRED
    lasting = google.envelope(google.message(expTimeMillis=millis(NOW + timedelta(days=9))))
    assert checked(google, lasting, NOW + timedelta(days=5) - last)
    assert refused(google, lasting, NOW + timedelta(days=5)) is Fault.KEY_EXPIRED


def test_only_root_keys_that_are_valid_count(google: Google) -> None:
    """Expired ones, those of another protocol, without an expiry, or of another kind do not."""
    body = json.dumps(google.envelope()).encode()
    lasting = root_keys(google.published(days=1))
    assert verify(body, lasting, ISSUER, NOW)
    with pytest.raises(NotGenuine, match="signed by no root key"):
        verify(body, root_keys(google.published(days=-1)), ISSUER, NOW)
    assert root_keys(google.published(protocol="ECv1")) == []
    endless = google.published()
    del endless["keys"][0]["keyExpiration"]
    assert root_keys(endless) == []
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        odd = google.published()
        odd["keys"][0]["keyValue"] = base64.b64encode(spki).decode()
        assert root_keys(odd) == []


@pytest.mark.parametrize(
    "said",
    [
        "no JSON",
        "[]",
        '{"objectId": "1.a"}',
        '{"classId":"1.c","objectId":"1.a","eventType":"sold","expTimeMillis":1,"nonce":"n"}',
        '{"classId":"1.c","objectId":"1.a","eventType":"save","nonce":"n","expTimeMillis":1e30}',
        '{"classId":"1.c","objectId":"1.a","eventType":"save","expTimeMillis":1,"nonce":""}',
    ],
)
def test_a_signed_message_that_says_nothing_is_refused(google: Google, said: str) -> None:
    """What Google never sends is no reason to fall over."""
    assert refused(google, google.envelope(said)) is Fault.MALFORMED


def test_an_intermediate_key_without_an_expiry_is_refused(google: Google) -> None:
    """Also one that is signed well."""
    envelope = google.envelope()
    signed_key = json.dumps({"keyValue": public(google.key)})
    envelope["intermediateSigningKey"] = {
        "signedKey": signed_key,
        "signatures": [sign(google.root, packed("GooglePayPasses", "ECv2SigningOnly", signed_key))],
    }
    assert refused(google, envelope) is Fault.MALFORMED


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    body=st.binary(max_size=200)
    | st.fixed_dictionaries(
        {
            "protocolVersion": st.just("ECv2SigningOnly") | st.text(),
            "signature": st.text() | _JUNK,
            "signedMessage": st.text() | _JUNK,
            "intermediateSigningKey": _JUNK
            | st.fixed_dictionaries(
                {"signedKey": st.text(), "signatures": st.lists(st.text(), max_size=2)}
            ),
        }
    ).map(lambda envelope: json.dumps(envelope).encode())
)
def test_junk_is_refused_and_nothing_else(body: bytes) -> None:
    """Anybody may send anything to the address."""
    with pytest.raises(NotGenuine):
        verify(body, root_keys(Google(NOW).published()), ISSUER, NOW)
    root_keys(body)
