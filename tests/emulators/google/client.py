"""A client as an issuer would write it: google-auth's session, Google's payloads."""

from __future__ import annotations

import base64
import functools
import json
import time
from types import TracebackType
from typing import Any, Self

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.auth import crypt
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account

from walletsvc.emulators.google import DEFAULT_ISSUER, GoogleEmulator

Json = dict[str, Any]
SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.cache
def _loaded(pem: str) -> rsa.RSAPrivateKey:
    """A key, loaded once: the check of its primes takes as long as a test."""
    private = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


def _session(key: Json) -> requests.Session:
    """google-auth's session with what it makes of a key file, the key loaded once."""
    library: Any = crypt, service_account, AuthorizedSession
    crypt_, accounts, session = library
    signer = crypt_.RSASigner(_loaded(key["private_key"]), key["private_key_id"])
    made: requests.Session = session(
        accounts.Credentials(signer, key["client_email"], key["token_uri"], scopes=[SCOPE])
    )
    # Proxies of the environment are looked up for each request otherwise.
    made.trust_env = False
    return made


def sign_jwt(key: Json, claims: Json, **header: Any) -> str:
    """A JWT signed by RS256 with the key of a service account."""
    private = _loaded(key["private_key"])
    head = {"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"], **header}
    signed = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims).encode())}"
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_b64(signature)}"


class Client:
    """One account of one issuer."""

    def __init__(self, emulator: GoogleEmulator, key: Json, issuer: str = DEFAULT_ISSUER) -> None:
        self.emulator = emulator
        self.key = key
        self.issuer = issuer
        self.class_id = f"{issuer}.loyalty"
        self.object_id = f"{issuer}.card-1"
        self.gift_class_id = f"{issuer}.gift"
        self.gift_id = f"{issuer}.gift-1"
        self.api = f"{emulator.base_url}/walletobjects/v1"
        self.session = _session(key)
        self.plain = requests.Session()
        self.plain.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.session.close()
        self.plain.close()

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        """Any request of the API, by its path below the version."""
        return self.session.request(method, f"{self.api}/{path}", json=body, params=params)

    def insert(self, collection: str, body: Json) -> Json:
        """A new resource that must be accepted."""
        return accepted(self.call("POST", collection, body))

    def patch(self, body: Json, object_id: str = "", collection: str = "") -> requests.Response:
        """PATCH of the loyalty card, or of another resource."""
        path = f"{collection or 'loyaltyObject'}/{object_id or self.object_id}"
        return self.call("PATCH", path, body)

    def message(
        self, path: str, message_id: str, kind: str = "TEXT_AND_NOTIFY"
    ) -> requests.Response:
        """addMessage to `collection/id`."""
        message = {"id": message_id, "header": "Привет", "body": "Новое", "messageType": kind}
        return self.call("POST", f"{path}/addMessage", {"message": message})

    def control(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """The control interface, which must accept."""
        url = f"{self.emulator.base_url}/_/{path}"
        answer = self.plain.request(method, url, json=body, params=params, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def link(self, payload: Json | None = None, **claims: Any) -> str:
        """A save link; by default the loyalty card by its id."""
        base = {
            "iss": self.key["client_email"],
            "aud": "google",
            "typ": "savetowallet",
            "iat": int(time.time()),
            "origins": ["https://shop.example"],
            "payload": {"loyaltyObjects": [{"id": self.object_id}]} if payload is None else payload,
        }
        return self.save_url(sign_jwt(self.key, {**base, **claims}))

    def save_url(self, token: str) -> str:
        """The address of the save page for a JWT."""
        return f"{self.emulator.base_url}/gp/v/save/{token}"

    def loyalty_class(self, **changes: Any) -> Json:
        """A loyalty class with everything that a shop sends."""
        return {
            "id": self.class_id,
            "issuerName": "Кофейня",
            "programName": "Бонусы",
            "localizedProgramName": {
                "defaultValue": {"language": "ru", "value": "Бонусы"},
                "translatedValues": [{"language": "en", "value": "Bonuses"}],
            },
            "programLogo": {
                "sourceUri": {"uri": "https://shop.example/logo.png"},
                "contentDescription": {"defaultValue": {"language": "ru", "value": "Логотип"}},
            },
            "heroImage": {"sourceUri": {"uri": "https://shop.example/hero.png"}},
            "reviewStatus": "UNDER_REVIEW",
            "hexBackgroundColor": "#004d40",
            "countryCode": "RU",
            "multipleDevicesAndHoldersAllowedStatus": "MULTIPLE_HOLDERS",
            "callbackOptions": {"url": "https://shop.example/google/callback"},
            "classTemplateInfo": {
                "cardTemplateOverride": {
                    "cardRowTemplateInfos": [
                        {
                            "twoItems": {
                                "startItem": {
                                    "firstValue": {
                                        "fields": [{"fieldPath": "object.textModulesData['tier']"}]
                                    }
                                },
                                "endItem": {
                                    "firstValue": {
                                        "fields": [{"fieldPath": "object.loyaltyPoints.balance"}]
                                    }
                                },
                            }
                        }
                    ]
                }
            },
            **changes,
        }

    def loyalty_object(self, **changes: Any) -> Json:
        """A loyalty card with everything that a shop sends."""
        return {
            "id": self.object_id,
            "classId": self.class_id,
            "state": "ACTIVE",
            "accountId": "1234567",
            "barcode": {"type": "QR_CODE", "value": "1234567", "alternateText": "1234567"},
            "loyaltyPoints": {
                "label": "Баллы",
                "localizedLabel": {"defaultValue": {"language": "ru", "value": "Баллы"}},
                "balance": {"string": "1 250"},
            },
            "secondaryLoyaltyPoints": {
                "label": "₽",
                "balance": {"money": {"micros": 12_500_000, "currencyCode": "RUB"}},
            },
            "textModulesData": [{"id": "tier", "header": "Уровень", "body": "Золото"}],
            "linksModuleData": {
                "uris": [{"id": "web", "uri": "https://shop.example/c/1", "description": "Карта"}]
            },
            "validTimeInterval": {"end": {"date": "2035-01-01T00:00:00+03:00"}},
            "groupingInfo": {"groupingId": "shop", "sortIndex": 1},
            **changes,
        }

    def gift_class(self, **changes: Any) -> Json:
        """A gift card class."""
        return {
            "id": self.gift_class_id,
            "issuerName": "Кофейня",
            "merchantName": "Кофейня",
            "programLogo": {"sourceUri": {"uri": "https://shop.example/logo.png"}},
            "allowBarcodeRedemption": True,
            "reviewStatus": "UNDER_REVIEW",
            "viewUnlockRequirement": "UNLOCK_REQUIRED_TO_VIEW",
            **changes,
        }

    def gift_object(self, **changes: Any) -> Json:
        """A gift card."""
        return {
            "id": self.gift_id,
            "classId": self.gift_class_id,
            "state": "ACTIVE",
            "cardNumber": "6001 2345 6789",
            "pin": "4321",
            "balance": {"micros": "2000000000", "currencyCode": "RUB"},
            "balanceUpdateTime": {"date": "2026-11-01T12:00:00Z"},
            "barcode": {"type": "PDF_417", "value": "600123456789"},
            **changes,
        }


def accepted(answer: requests.Response) -> Json:
    """The body of an answer that must be a success."""
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def refused(answer: requests.Response, status: int, reason: str) -> Json:
    """The error of an answer that must be this refusal."""
    assert answer.status_code == status, answer.text
    error: Json = answer.json()["error"]
    assert error["code"] == status
    assert error["errors"][0]["reason"] == reason, answer.text
    return error
