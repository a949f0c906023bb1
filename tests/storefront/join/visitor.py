"""A browser on the pages of joining, and the house it joins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlmodel import func, select
from werkzeug.test import TestResponse

from tests.browser.shop import codes_sent
from tests.passes.shop import Shop
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment import settings as enrolment
from walletsvc.enrolment.models import JoinSource
from walletsvc.storage.engine import Database

PHONE = "8 (900) 123-45-67"


@dataclass
class Visitor:
    """Somebody with a browser, who looks at one page after another."""

    client: FlaskClient
    database: Database
    page: str = ""
    address: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def get(self, address: str) -> TestResponse:
        return self._seen(self.client.get(address, follow_redirects=True))

    def open(self, address: str = "/join/guest?lang=en") -> None:
        """Open the form and take its hidden fields and texts along."""
        assert self.get(address).status_code == 200
        self.fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.page))
        agree = re.search(r'name="data_text" value="(\w+)"', self.page)
        assert agree is not None
        self.fields |= {"phone": PHONE, "first_name": "Анна", "data_text": agree[1]}

    def send(self, **changes: Any) -> TestResponse:
        """Send the form; where it leads is the next page."""
        wanted = {name: value for name, value in (self.fields | changes).items()
                  if value is not None}  # fmt: skip
        return self.post("/join/guest", **wanted)

    def post(self, address: str, **fields: Any) -> TestResponse:
        """Send any form, with the token of the page before unless told otherwise."""
        token = re.search(r'name="csrf_token" value="([^"]*)"', self.page)
        given = {"csrf_token": token[1] if token else ""} | fields
        return self._seen(self.client.post(address, data=given, follow_redirects=True))

    def type_code(self, code: str | None = None) -> TestResponse:
        return self.post("/join/guest/code", code=self.codes()[-1] if code is None else code)

    def codes(self) -> list[str]:
        return codes_sent(self.database)

    def count(self, table: type[Any]) -> int:
        with self.database.read_tx() as session:
            return int(session.exec(select(func.count()).select_from(table)).one())

    def _seen(self, answer: TestResponse) -> TestResponse:
        self.page, self.address = answer.text, answer.request.path
        return answer


@dataclass
class Desk:
    """A shop that takes people in, and its clock."""

    app: Flask
    database: Database
    shop: Shop
    source: JoinSource
    now: datetime

    def visitor(self) -> Visitor:
        return Visitor(self.app.test_client(), self.database)

    def rules(self, **changes: Any) -> None:
        with self.database.write_tx() as session:
            rules = enrolment.Rules(**{"open": True, **changes})
            enrolment.change(session, self.shop.points, rules, actor=OPERATOR, now=self.now)
