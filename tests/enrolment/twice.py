"""Somebody who is there twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from tests.factories import TILL, Shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards.models import Card
from walletsvc.enrolment.merging import service
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Transaction
from walletsvc.ledger.verify import differences
from walletsvc.merchants.models import Organisation
from walletsvc.people.consents.models import Consent, ConsentChannel, ConsentText, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_points_programme
from walletsvc.storage.engine import Database


@dataclass
class Twice:
    """Anna, who was written down twice, with a card each; short verbs, a transaction each."""

    database: Database
    now: datetime
    shop: Shop
    kept: int  # person ids
    merged: int
    card: int  # of the kept
    other: int  # of the merged

    def merge(self, kept: int | None = None, merged: int | None = None, **more: Any) -> PersonMerge:
        with self.database.write_tx() as session:
            return service.merge(
                session,
                session.get_one(Person, kept or self.kept),
                session.get_one(Person, merged or self.merged),
                **{"reason": "дважды записана", "actor": TILL, "now": self.now, **more},
            )

    def undo(self, made: PersonMerge, **more: Any) -> service.Undone:
        with self.database.write_tx() as session:
            return service.undo(
                session,
                session.get_one(PersonMerge, made.id),
                **{"reason": "две разные", "actor": TILL, "now": self.now, **more},
            )

    def credit(self, card: int, amount: int, **more: Any) -> Transaction:
        given: dict[str, Any] = {"source": "x", "actor": TILL, "reason": "", "now": self.now}
        given |= {"card_id": card, **more}
        with self.database.write_tx() as session:
            return ledger.credit(
                session,
                session.get_one(Card, card).account_id,
                amount,
                **given,
            )

    def debit(self, card: int, amount: int) -> Transaction:
        with self.database.write_tx() as session:
            account = session.get_one(Card, card).account_id
            return ledger.debit(
                session, account, amount, actor=TILL, reason="", now=self.now, card_id=card
            )

    def reverse(self, transaction: Transaction) -> None:
        with self.database.write_tx() as session:
            ledger.reverse(session, transaction.id, actor=TILL, reason="", now=self.now)

    def balance(self, card: int) -> int:
        with self.database.read_tx() as session:
            assert list(differences(session, LEDGER_CHECKS)) == []
            return queries.balance(session, session.get_one(Card, card).account_id)

    def find(self, kind: type[Any], id_: int) -> Any:
        with self.database.read_tx() as session:
            return session.get_one(kind, id_)

    def all(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.database.read_tx() as session:
            return [tuple(row) for row in session.execute(text(statement), values)]

    def everything(self) -> dict[str, Any]:
        """All that a merger may change, but for what only ever grows."""
        return {
            name: self.all(f"SELECT {columns} FROM {name} ORDER BY 1, 2")
            for name, columns in {
                "persons": "id, last_name, birthday, email, merged_into_id, closed_at",
                "person_phones": "person_id, phone_id, verified_at, created_at",
                "cards": "id, person_id, account_id, merged_into_id, closed_at",
                "accounts": "id, balance, held, closed_at, merged_into_id",
                "lots": "id, account_id, remaining, held, expires_at",
                "consents": "id, person_id, withdrawn_at, withdrawn_way, withdrawn_actor",
                "turnover": "account_id, organisation_id, day, amount",
                "account_tiers": "account_id, tier, base, since",
            }.items()
        }


def second_programme(session: Session, twice: Twice) -> Programme:
    owner = session.get_one(Organisation, twice.shop.organisation.id)
    return create_points_programme(
        session, organisation_id=owner.id, slug="bar", name="Бар", now=twice.now
    )


def consent(twice: Twice, person: int, day: int, withdrawn: int | None = None) -> int:
    with twice.database.write_tx() as session:
        wording = session.exec(select(ConsentText)).first()
        if wording is None:
            wording = ConsentText(
                organisation_id=twice.shop.organisation.id, purpose=Purpose.ADVERTISING, version=1,
                title={}, body={}, digest=b"", actor="x", published_at=twice.now,
            )  # fmt: skip
            session.add(wording)
            session.flush()
        made = Consent(
            person_id=person,
            text_id=wording.id,
            purpose=Purpose.ADVERTISING,
            channel=ConsentChannel.SMS,
            way=Way.FORM,
            actor="x",
            given_at=twice.now + timedelta(days=day),
        )
        if withdrawn is not None:
            made.withdrawn_at = twice.now + timedelta(days=withdrawn)
            made.withdrawn_way, made.withdrawn_actor = Way.PAGE, "y"
        session.add(made)
        session.flush()
        return made.id


def standing(twice: Twice, person: int) -> list[int]:
    rows = twice.all(
        "SELECT id FROM consents WHERE person_id = :id AND withdrawn_at IS NULL", id=person
    )
    return [row[0] for row in rows]
