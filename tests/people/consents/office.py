"""A shop that asks its guests for consents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from tests.factories import TILL, Shop
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.people.consents import service
from walletsvc.people.consents.models import Consent, ConsentChannel, ConsentText, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.storage.engine import Database

SMS, EMAIL, WALLET = ConsentChannel.SMS, ConsentChannel.EMAIL, ConsentChannel.WALLET
PHONE = "+79000001234"
DAY = timedelta(days=1)
WORDS = {"title": {"ru": "Согласие"}, "body": {"ru": "Я согласна."}}


@dataclass
class Office:
    """One person of one shop; each verb is a transaction of its own."""

    database: Database
    shop: Shop
    person: Person
    now: datetime

    def texts(self) -> dict[Purpose, ConsentText]:
        with self.database.write_tx() as session:
            return service.current_texts(session, self.shop.organisation.id, self.now)

    def publish(self, **changes: Any) -> ConsentText:
        given: dict[str, Any] = {"purpose": Purpose.DATA, "actor": TILL, "now": self.now, **WORDS}
        with self.database.write_tx() as session:
            return service.publish_text(
                session, organisation_id=self.shop.organisation.id, **given | changes
            )

    def give(
        self, words: ConsentText, channels: Sequence[ConsentChannel] = (), **changes: Any
    ) -> list[Consent]:
        given: dict[str, Any] = {
            "way": Way.FORM,
            "language": "ru",
            "phone": PHONE,
            "proof_id": None,
            "actor": TILL,
            "now": self.now,
        }
        with self.database.write_tx() as session:
            return service.give(
                session, self._person(session), text=words, channels=channels, **given | changes
            )

    def withdraw(self, purpose: Purpose, **changes: Any) -> list[Consent]:
        given: dict[str, Any] = {"way": Way.PAGE, "actor": TILL, "now": self.now}
        with self.database.write_tx() as session:
            return service.withdraw(
                session, self._person(session), purpose=purpose, **given | changes
            )

    def standing(self) -> list[tuple[str, str | None, int]]:
        with self.database.read_tx() as session:
            return [_told(each) for each in service.standing(session, self.person.id)]

    def history(self) -> list[Consent]:
        with self.database.read_tx() as session:
            return service.history(session, self.person.id)

    def may(self, channel: ConsentChannel) -> bool:
        with self.database.read_tx() as session:
            return service.may_advertise(session, self.person.id, channel)

    def _person(self, session: Session) -> Person:
        return session.get_one(Person, self.person.id)


def _told(consent: Consent) -> tuple[str, str | None, int]:
    return (consent.purpose.value, consent.channel, consent.text_id)


def proof_of(office: Office) -> int:
    """A used proof of the person's phone."""
    with office.database.write_tx() as session:
        proof = PhoneProof(
            organisation_id=office.shop.organisation.id, purpose=ProofPurpose.TILL,
            route=Route.SMS, phone=PHONE, created_at=office.now, expires_at=office.now,
            proven_at=office.now, used_at=office.now,
        )  # fmt: skip
        session.add(proof)
        session.flush()
        return proof.id
