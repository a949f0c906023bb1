"""A till that scans, quotes, holds and sells, and what customers show it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlmodel import col, select

from tests.api.conftest import Api
from tests.api.selling import money, send
from tests.sales.shop import TILL
from walletsvc.cards.codes import service
from walletsvc.cards.codes.models import RollingCode
from walletsvc.cards.models import Card
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook.schemas import RuleBook

BOOK: dict[str, Any] = {
    "earn": {"percent": "10"},
    "spend": {"max_share_percent": "50"},
    "promotions": [
        {
            "id": "less",
            "name": {"ru": "Скидка", "en": "Less"},
            "effect": {"kind": "discount", "percent": "20"},
        }
    ],
}


class Till:
    """A member with a thousand points of a programme with codes, and a clock to set."""

    def __init__(self, api: Api, policy: str = "time_based") -> None:
        """With rules that give a discount and let points pay."""
        self.api = api
        at = api.now - timedelta(days=7)
        with api.database.write_tx() as session:
            book = RuleBook.model_validate(BOOK)
            versions.save_draft(session, api.shop.programme, book, TILL, "", at)
            versions.publish(session, api.shop.programme, TILL, at)
        assert self.switch(policy)["programme"]["code_policy"] == policy
        made = api.member()
        self.card: str = made["card"]["id"]
        self.number: str = made["card"]["number"]
        assert api.adjust(self.card, 1000).status_code == 200

    def switch(self, policy: str) -> dict[str, Any]:
        """The programme's policy from now on."""
        answer = self.api.call("PATCH", "/programmes/shop", json={"code_policy": policy})
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.api.now += timedelta(seconds=seconds)
        self.api.clock = self.api.now

    def page(self) -> str:
        """What the customer's page shows."""
        with self.api.database.write_tx() as session:
            card = session.exec(select(Card).where(Card.public_id == self.card)).one()
            programme = session.get_one(Programme, card.programme_id, populate_existing=True)
            shown = service.current_code(session, card, programme, self.api.now)
            return f"{shown.text}"

    def apple(self) -> str:
        """What the Apple pass comes to show."""
        with self.api.database.read_tx() as session:
            shown = select(RollingCode.code).where(col(RollingCode.taken_at).is_(None))
            code: str = session.exec(shown).one()
            return f"{self.number}{code}"

    def scan(self, text: str, secret: str | None = None, language: str = "en") -> dict[str, Any]:
        """What a till is told."""
        answer = self.api.call(
            "POST", f"/scans?language={language}", json={"text": text}, secret=secret
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def bill(self, **more: Any) -> dict[str, Any]:
        """A hundred roubles."""
        return {"card_id": self.card, "total": money(100_00), **more}

    def quote(self, **more: Any) -> Any:
        """What it would be."""
        return self.api.call("POST", "/quotes?language=en", json=self.bill(**more))

    def buy(self, **more: Any) -> Any:
        """Record it, under a number of its own unless one is given."""
        self.api.keys += 1
        body = self.bill(**({"external_id": f"R-{self.api.keys}"} | more))
        return send(self.api, "/purchases?language=en", body)


def codes(answer: Any) -> list[str]:
    """The reasons of a quote or purchase."""
    return [each["code"] for each in answer.get_json()["explanation"]]


def problem(answer: Any) -> tuple[int, str, str | None]:
    """Status, code and why."""
    body = answer.get_json()
    return answer.status_code, body["code"], body.get("why")


def hold(till: Till, **more: Any) -> dict[str, Any]:
    """Ten points for a quarter of an hour."""
    return {"card_id": till.card, "amount": 10, "seconds": 900, "reason": "test", **more}


def fetched(till: Till) -> None:
    """A phone has the pass as it is now."""
    with till.api.database.write_tx() as session:
        now = session.exec(select(RollingCode).where(col(RollingCode.taken_at).is_(None))).one()
        service.fetched(session, now.card_id, now.id, till.api.now)


def proof(till: Till, **changes: Any) -> str:
    """A proof of Anna's phone that this organisation asked for."""
    values: dict[str, Any] = {
        "organisation_id": till.api.shop.organisation.id,
        "purpose": ProofPurpose.SPEND,
        "route": Route.SMS,
        "phone": "+79001234567",
        "subject": f"key:{till.api.shop.organisation.id}",
        "created_at": till.api.now,
        "expires_at": till.api.now + timedelta(minutes=10),
        "proven_at": till.api.now,
    }
    with till.api.database.write_tx() as session:
        made = PhoneProof(**(values | changes))
        session.add(made)
        session.flush()
        return made.public_id
