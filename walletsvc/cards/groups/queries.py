"""Reading groups: who belongs to one, and what each brought, earned and spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.cards.groups.models import CardGroup, GroupMember, JoinProof
from walletsvc.cards.models import Card
from walletsvc.ledger.lots import UNDONE_SQL
from walletsvc.ledger.models import Account, Unit
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme

# What each card did on the shared account while it belonged to the group, net of what was undone.
# An undoing counts for the card and the time of what it undoes: the refund of a purchase from
# before joining is no spending of the group. An accrual counts when it is promised: it has no
# entry of the holder's, so it is read from its lot, and what was undone of it from the ledger.
_SUMS: Final = text(f"""
WITH acted AS MATERIALIZED (
    SELECT coalesce(o.card_id, t.card_id) AS card_id, coalesce(o.at, t.at) AS at,
           coalesce(o.type, t.type) AS type, e.amount
      FROM ledger_entries e
      JOIN ledger_transactions t ON t.id = e.transaction_id
      LEFT JOIN ledger_transactions o ON o.id = t.undoes_id
     WHERE e.account_id = :account_id
       AND coalesce(o.type, t.type) IN ('credit', 'debit', 'capture')
    UNION ALL
    SELECT t.card_id, t.at, 'credit', l.original - {UNDONE_SQL.format(transaction="t.id")}
      FROM lots l
      JOIN ledger_transactions t ON t.id = l.transaction_id AND t.type = 'accrual'
     WHERE l.account_id = :account_id AND (l.remaining > 0 OR l.remaining = 0)
)
SELECT m.id, coalesce(-sum(acted.amount) FILTER (WHERE acted.type <> 'credit'), 0)::bigint AS spent,
       coalesce(sum(acted.amount) FILTER (WHERE acted.type = 'credit'), 0)::bigint AS earned
  FROM group_members m
  LEFT JOIN acted ON acted.card_id = m.card_id AND acted.at >= m.joined_at
       AND (m.left_at IS NULL OR acted.at <= m.left_at)
 WHERE m.group_id = :group_id
 GROUP BY m.id
""")  # noqa: S608 - composed of constants


# What is promised for later, with the card that earned it.
_TO_COME: Final = text("""
SELECT l.remaining AS amount, l.available_from, l.expires_at, c.public_id AS card_public_id
  FROM lots l
  JOIN ledger_transactions t ON t.id = l.transaction_id
  LEFT JOIN cards c ON c.id = t.card_id
 WHERE l.account_id = :account_id AND l.matured_id IS NULL AND l.remaining > 0
 ORDER BY l.available_from, l.id
""")


@dataclass(frozen=True, slots=True)
class ToCome:
    """Points that join a balance later, in minor units, and the card that earned them."""

    amount: int
    available_from: datetime
    expires_at: datetime | None
    card_public_id: str | None


@dataclass(frozen=True)
class MemberView:
    """A card's time in a group; amounts in minor units. Who left has `left_at`."""

    card: Card
    person: Person
    proof: JoinProof
    reason: str
    joined_at: datetime
    brought: int
    earned: int
    spent: int
    left_at: datetime | None
    left_with: int | None


@dataclass(frozen=True)
class GroupView:
    """A group, what it counts and has, and everybody who belongs or belonged to it, in order."""

    group: CardGroup
    programme: Programme
    unit: Unit
    balance: int
    members: list[MemberView]


def find(session: Session, organisation_id: int, public_id: str) -> CardGroup | None:
    """The organisation's group with this public id."""
    return session.exec(
        select(CardGroup)
        .join(Programme, col(Programme.id) == col(CardGroup.programme_id))
        .where(CardGroup.public_id == public_id, Programme.organisation_id == organisation_id)
    ).first()


def to_come(session: Session, account_id: int) -> list[ToCome]:
    """What is promised to an account that was settled, soonest first."""
    rows = session.execute(_TO_COME, {"account_id": account_id})
    return [ToCome(**row) for row in rows.mappings()]


def group_view(session: Session, group: CardGroup) -> GroupView:
    """A group with its members. What a closed group's account has is its last member's."""
    programme = session.get_one(Programme, group.programme_id)
    # Read anew: the ledger changes balances by SQL, behind the session's back.
    account = session.get_one(Account, group.account_id, populate_existing=True)
    values = {"group_id": group.id, "account_id": group.account_id}
    sums = {row.id: row for row in session.execute(_SUMS, values)}
    rows = session.exec(
        select(GroupMember, Card, Person)
        .join(Card, col(Card.id) == col(GroupMember.card_id))
        .join(Person, col(Person.id) == col(Card.person_id))
        .where(GroupMember.group_id == group.id)
        .order_by(col(GroupMember.id))
    )
    members = [
        MemberView(
            card=card,
            person=person,
            proof=member.proof,
            reason=member.reason,
            joined_at=member.joined_at,
            brought=member.brought,
            earned=sums[member.id].earned,
            spent=sums[member.id].spent,
            left_at=member.left_at,
            left_with=member.left_with,
        )
        for member, card, person in rows
    ]
    unit = session.get_one(Unit, programme.unit_id)
    return GroupView(group, programme, unit, account.balance or 0, members)
