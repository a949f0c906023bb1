"""A family whose cards share a balance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from tests.factories import TILL, Shop
from walletsvc.cards.groups import service
from walletsvc.cards.groups.models import CardGroup
from walletsvc.cards.groups.queries import GroupView, group_view
from walletsvc.cards.groups.service import Joined, Left
from walletsvc.cards.models import Card
from walletsvc.core.errors import InputError
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Hold, Transaction
from walletsvc.ledger.verify import differences
from walletsvc.storage.engine import Database


@dataclass
class Family:
    """Four cards of one shop, and short verbs; each opens a transaction of its own."""

    database: Database
    shop: Shop
    ids: list[int]
    now: datetime

    def card(self, session: Session, index: int) -> Card:
        return session.get_one(Card, self.ids[index], populate_existing=True)

    def read(self, index: int) -> Card:
        with self.database.read_tx() as session:
            return self.card(session, index)

    def balances(self) -> list[int]:
        with self.database.read_tx() as session:
            assert list(differences(session)) == []
            return [
                queries.balance(session, self.card(session, index).account_id)
                for index in range(len(self.ids))
            ]

    def credit(self, index: int, amount: int, **more: Any) -> Transaction:
        with self.database.write_tx() as session:
            card = self.card(session, index)
            given: dict[str, Any] = {"source": "purchase", "actor": TILL, "reason": "", **more}
            return ledger.credit(
                session, card.account_id, amount, card_id=card.id, now=self.now, **given
            )

    def debit(self, index: int, amount: int) -> Transaction:
        with self.database.write_tx() as session:
            card = self.card(session, index)
            return ledger.debit(
                session, card.account_id, amount, card_id=card.id, actor=TILL, reason="",
                now=self.now,
            )  # fmt: skip

    def reverse(self, transaction: Transaction, amount: int | None = None) -> None:
        with self.database.write_tx() as session:
            ledger.reverse(
                session, transaction.id, amount=amount, actor=TILL, reason="", now=self.now
            )

    def invite(self, index: int) -> str:
        with self.database.write_tx() as session:
            return service.invite(session, self.card(session, index), actor=TILL, now=self.now)[1]

    def join(self, index: int, code: str) -> Joined:
        with self.database.write_tx() as session:
            return service.join(session, self.card(session, index), code, actor=TILL, now=self.now)

    def approve(self, index: int, member: int, reason: str = "Дети") -> Joined:
        with self.database.write_tx() as session:
            return service.approve(
                session, self.card(session, index), self.card(session, member), reason=reason,
                actor=TILL, now=self.now,
            )  # fmt: skip

    def leave(self, index: int, take: int = 0) -> Left:
        with self.database.write_tx() as session:
            return service.leave(session, self.card(session, index), take, actor=TILL, now=self.now)

    def view(self) -> GroupView:
        with self.database.read_tx() as session:
            group = session.exec(select(CardGroup).order_by(col(CardGroup.id).desc())).first()
            assert group is not None
            return group_view(session, group)

    def rows(self, *tables: str) -> list[list[tuple[object, ...]]]:
        with self.database.read_tx() as session:
            return [
                [tuple(row) for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))]
                for table in tables or ("cards", "card_groups", "group_members", "accounts",
                                        "group_invitations", "ledger_entries", "lots")
            ]  # fmt: skip

    def touched(self, topic: str) -> set[int]:
        with self.database.read_tx() as session:
            rows = session.execute(
                text("SELECT key FROM changes WHERE topic = :topic"), {"topic": topic}
            )
            return set(rows.scalars())

    def forget_changes(self) -> None:
        with self.database.write_tx() as session:
            session.execute(text("DELETE FROM changes"))


def refusal(family: Family, index: int, code: str) -> str:
    """Why a code lets nobody in; nothing is written."""
    before = family.rows()
    with pytest.raises(InputError) as caught:
        family.join(index, code)
    assert family.rows() == before
    assert caught.value.fields[0].field == "code"
    return caught.value.detail


def hold(family: Family, index: int) -> None:
    """Ten points reserved for an hour, as an active hold would."""
    with family.database.write_tx() as session:
        card = family.card(session, index)
        session.add(
            Hold(
                account_id=card.account_id, card_id=card.id, amount=10, actor="x",
                acceptor_id=family.shop.organisation.id, created_at=family.now,
                expires_at=family.now + timedelta(hours=1),
            )
        )  # fmt: skip
        session.flush()
        session.execute(
            text("INSERT INTO hold_lots SELECT h.id, l.id, 10 FROM holds h"
                 " JOIN lots l ON l.account_id = h.account_id")
        )  # fmt: skip
        session.execute(text("UPDATE lots SET held = 10"))
        session.execute(
            text("UPDATE accounts SET held = 10 WHERE id = :id"), {"id": card.account_id}
        )
