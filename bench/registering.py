"""Customers who register at a till or by the form, as fast as they are answered, for the
benchmark of registrations."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from itertools import count
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from sqlalchemy import text

from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database

_CLIENTS: Final = 8
_WINDOW: Final = 100  # more than are ever written at once: a lower id may be seen later
_CODE: Final = re.compile(r"\b\d{6}\b")
_HIDDEN: Final = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
_DATA: Final = re.compile(r'name="data_text" value="(\w+)"')
_MESSAGES: Final = text(
    "SELECT id, recipient, body FROM messages"
    " WHERE id > :after AND id <> ALL(:read) AND kind IN ('code', 'till_code')"
)
_NAME: Final = {"first_name": "Екатерина", "last_name": "Константинова"}


class Phones:
    """What arrives on the customers' phones. Each message is read once, as it costs the processor
    that is measured."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._read: set[int] = set()
        self._codes: dict[str, str] = {}

    def code(self, phone: str) -> str:
        """The code that was sent to a phone."""
        with self._lock:
            if phone not in self._codes:
                self._look()
            return self._codes.pop(phone)

    def _look(self) -> None:
        after = max(self._read, default=_WINDOW) - _WINDOW
        with self._database.read_tx() as session:
            rows = session.execute(_MESSAGES, {"after": after, "read": list(self._read)}).all()
        for _, recipient, body in rows:
            phone = json.loads(keyring().decrypt(recipient))["phone"]
            self._codes[phone] = _CODE.findall(keyring().decrypt(body))[0]
        self._read = {id_ for id_ in self._read if id_ > after} | {id_ for id_, _, _ in rows}


class Till:
    """One customer after another, over the REST API on a connection that is kept."""

    def __init__(
        self, url: str, secret: str, programme: str, texts: Mapping[str, str], phones: Phones
    ) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._secret = secret
        self._programme = programme
        self._texts = texts
        self._phones = phones

    def register(self, number: int) -> None:
        """Have the phone proven and the customer registered; raises for any other answer."""
        phone = f"+7900{number:07}"
        wanted: dict[str, Any] = {"programme": self._programme, "phone": phone, "purpose": "till"}
        wanted["advertising"] = True
        proof = self._call("/proofs", wanted, 201)["id"]
        told = self._call(f"/proofs/{proof}/code", {"code": self._phones.code(phone)}, 200)
        if told["state"] != "proven":
            raise RuntimeError(f"The right code was answered {told['state']}.")
        consents = {
            "data": {"text": self._texts["data"]},
            "advertising": {"text": self._texts["advertising"], "channels": ["sms"]},
        }
        member = {"programme": self._programme, "phone": phone, "proof": proof}
        self._call("/members", member | _NAME | {"consents": consents}, 201)

    def close(self) -> None:
        """No more customers."""
        self._connection.close()

    def _call(self, path: str, body: Mapping[str, Any], wanted: int) -> dict[str, Any]:
        self._connection.request(
            "POST",
            f"/api/v1{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"},
        )
        said = _answer(self._connection, path, wanted)[1]
        return dict(json.loads(said))


class Door:
    """One customer after another, each with a phone, a browser and an address of their own."""

    def __init__(self, url: str, programme: str, phones: Phones) -> None:
        self._host = urlsplit(url).netloc
        self._form = f"/join/{programme}"
        self._phones = phones

    def register(self, number: int) -> None:
        """Fill the form in and tell the code, as far as the card's address; raises for any other
        answer."""
        # All of 127.0.0.0/8 is this machine, and an address may send only so many forms.
        address = f"127.{1 + (number >> 16) % 250}.{number >> 8 & 255}.{number & 255}"
        connection = http.client.HTTPConnection(self._host, timeout=30, source_address=(address, 0))
        browser = _Browser(connection)
        phone = f"+7901{number:07}"
        page = browser.get(self._form)
        typed = dict(_HIDDEN.findall(page)) | _NAME | {"phone": phone, "channels": "sms"}
        typed["data_text"] = _DATA.findall(page)[0]
        code_page = browser.post(self._form, typed)
        typed = dict(_HIDDEN.findall(browser.get(code_page))) | {"code": self._phones.code(phone)}
        card = browser.post(code_page, typed)
        if not card.startswith("/c/"):
            raise RuntimeError(f"The right code led to {card[:40]}.")
        connection.close()

    def close(self) -> None:
        """No more customers."""


class _Browser:
    """Keeps cookies, follows nothing by itself."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._cookies: SimpleCookie = SimpleCookie()

    def get(self, path: str) -> str:
        """The page."""
        self._connection.request("GET", path, headers=self._headers())
        return self._taken(path, 200)[1]

    def post(self, path: str, fields: Mapping[str, str]) -> str:
        """Where a form leads."""
        headers = self._headers() | {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", path, urlencode(fields).encode(), headers)
        return self._taken(path, 303)[0].getheader("Location") or ""

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{m.key}={m.value}" for m in self._cookies.values())}

    def _taken(self, path: str, wanted: int) -> tuple[http.client.HTTPResponse, str]:
        answer, said = _answer(self._connection, path, wanted)
        for each in answer.headers.get_all("Set-Cookie") or ():
            self._cookies.load(each)
        return answer, said.decode()


class Crowd:
    """Clients side by side who register new customers without a pause."""

    def __init__(self, client: Callable[[], Till | Door]) -> None:
        self._client = client
        self._numbers = count(1)

    def register(self, seconds: float) -> int:
        """How many were registered in so long; raises when one was not."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(_CLIENTS) as pool:
            return sum(pool.map(self._one, [until] * _CLIENTS))

    def _one(self, until: float) -> int:
        client, done = self._client(), 0
        while time.monotonic() < until:
            client.register(next(self._numbers))
            done += time.monotonic() < until
        client.close()
        return done


def _answer(
    connection: http.client.HTTPConnection, path: str, wanted: int
) -> tuple[http.client.HTTPResponse, bytes]:
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != wanted:
        raise RuntimeError(f"{path} was answered {answer.status}: {said[:500]!r}")
    return answer, said
