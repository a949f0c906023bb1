"""The run: rows become persons, cards, numbers, balances and tiers, a piece at a time.

A row's outcome is committed together with all that it made and with the job's cursor, so each row
goes in once whatever happens to the worker. What changed since the dry run is looked at again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, insert, update
from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.cards.plastic.models import PlasticNumber
from walletsvc.cards.service import issue_cards
from walletsvc.core.actor import Actor
from walletsvc.enrolment.importing.models import (
    Import,
    ImportRow,
    ImportState,
    KnownMembers,
    RowOutcome,
)
from walletsvc.enrolment.importing.rules import moment
from walletsvc.enrolment.importing.service import import_of
from walletsvc.enrolment.importing.standing import MemberCard, member_cards, members, numbers_taken
from walletsvc.enrolment.models import Registration
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Piece
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.ledger.accounts import hold_still
from walletsvc.ledger.many import look_up_by_key
from walletsvc.ledger.models import Account
from walletsvc.passes.service import create_card_passes
from walletsvc.people.consents.models import Way
from walletsvc.people.many import Wanted, find_or_create_people
from walletsvc.programmes.models import Programme
from walletsvc.programmes.tiers.bringing import Brought, bring

SOURCE: Final = "import"
# A piece takes some forty statements, whatever its size: smaller ones would only be slower.
LEAST: Final = 100
_LEFT: Final = {
    "number_known": ["number", "number_known", "became a card's after the dry run"],
    "member_known": ["phone", "member_known", "became a member's after the dry run"],
    "card_closed": ["phone", "card_closed", "is of a member whose card was closed"],
    "full": ["balance", "full", "would be more than the card can hold"],
}


@dataclass(slots=True)
class _Row:
    """A row on its way in."""

    sent: Row[Any]
    person_id: int = 0
    person_new: bool = False
    card_id: int = 0
    account_id: int = 0
    card_new: bool = False
    plastic_id: int | None = None
    transaction_id: int | None = None
    brought_id: int | None = None
    tier_before: str | None = None
    left: str | None = field(default=None)

    def values(self, import_id: int) -> dict[str, Any]:
        """The row's columns from now on: what is personal is the person's alone."""
        known: dict[str, Any] = {
            "import_id": import_id,
            "row": self.sent.row,
            "given": None,
            "phone": None,
            "name_key": "",
            "digest": None,
        }
        if self.left is not None:
            return known | _values(RowOutcome.KNOWN, [_LEFT[self.left]])
        outcome = RowOutcome.CREATED if self.card_new else RowOutcome.JOINED
        return known | _values(
            outcome,
            [],
            person_id=self.person_id,
            person_new=self.person_new,
            card_id=self.card_id,
            card_new=self.card_new,
            plastic_id=self.plastic_id,
            transaction_id=self.transaction_id,
            brought_id=self.brought_id,
            tier_before=self.tier_before,
            tier_set=self.brought_id is not None or bool(self.sent.given["tier"]),
        )


def _values(outcome: RowOutcome, problems: list[list[str]], **made: Any) -> dict[str, Any]:
    ids = ("person_id", "card_id", "plastic_id", "transaction_id", "brought_id", "tier_before")
    flags = ("person_new", "card_new", "tier_set")
    nothing = {**dict.fromkeys(ids), **dict.fromkeys(flags, False)}
    return {"outcome": outcome, "problems": problems, **nothing, **made}


def run_piece(session: Session, job: BulkJob, size: int, now: datetime) -> Piece:
    """Bring the next rows in."""
    look_up_by_key(session)
    found, most = import_of(session, job), max(size, LEAST)
    wanted = ("row", "given", "number", "phone", "name_key", "balance", "turnover")
    sent = session.execute(
        select(*(getattr(ImportRow, name) for name in wanted))
        .where(
            col(ImportRow.import_id) == found.id,
            col(ImportRow.row) > job.cursor,
            col(ImportRow.outcome) == RowOutcome.READY,
        )
        .order_by(col(ImportRow.row))
        .limit(most)
    ).all()
    rows = [_Row(row) for row in sent]
    counted = _bring_in(session, found, rows, now) if rows else {}
    finished = len(rows) < most
    if finished:
        found.state = ImportState.DONE
        session.flush()
    return Piece(sent[-1].row if sent else job.cursor, len(sent), finished, counted)


def _bring_in(
    session: Session, found: Import, rows: Sequence[_Row], now: datetime
) -> dict[str, int]:
    programme = session.get_one(Programme, found.programme_id)
    _leave_out(session, found, programme, rows)
    _give_cards(session, found, programme, [row for row in rows if row.left is None], now)
    # Points first: what does not fit leaves the whole row out.
    _give_points(session, found, [row for row in rows if row.left is None], now)
    _give_numbers(session, found, programme, [row for row in rows if row.left is None], now)
    _give_turnover(session, found, programme, [row for row in rows if row.left is None], now)
    session.execute(update(ImportRow), [row.values(found.id) for row in rows])
    taken = [row for row in rows if row.left is None]
    return {
        "created": sum(row.card_new for row in taken),
        "joined": sum(not row.card_new for row in taken),
        "left_out": len(rows) - len(taken),
        "persons": sum(row.person_new for row in taken),
        "points": sum(row.sent.balance for row in taken),
    }


def _leave_out(session: Session, found: Import, programme: Programme, rows: Sequence[_Row]) -> None:
    """What the dry run found good and is not any more."""
    there = members(session, programme, [row.sent.phone for row in rows if row.sent.phone])
    taken = numbers_taken(session, programme, [row.sent.number for row in rows if row.sent.number])
    own = _made_before(session, found, list(there.cards.values()))
    for row in rows:
        person = there.people.get((row.sent.phone, row.sent.name_key))
        card = there.cards.get(person) if person is not None else None
        if row.sent.number in taken:
            row.left = "number_known"
        elif card is not None and not card.open:
            row.left = "card_closed"
        elif (
            card is not None
            and found.known_members is KnownMembers.SKIP
            and card.card_id not in own
            and not card.undone
        ):
            row.left = "member_known"


def _made_before(session: Session, found: Import, cards: Sequence[MemberCard]) -> set[int]:
    """Which of the cards this very import made: of one person there may be several rows."""
    ids = [card.card_id for card in cards]
    made = select(ImportRow.card_id).where(
        ImportRow.import_id == found.id,
        ImportRow.outcome == RowOutcome.CREATED,
        col(ImportRow.card_id).in_(ids),
    )
    return {id_ for id_ in session.exec(made) if id_ is not None} if ids else set()


def _give_cards(
    session: Session, found: Import, programme: Programme, rows: Sequence[_Row], now: datetime
) -> None:
    if not rows:
        return
    people = [
        Wanted(
            phone=row.sent.phone,
            first_name=row.sent.given["first_name"],
            last_name=row.sent.given["last_name"],
            birthday=_date(row.sent.given["birthday"]),
            email=row.sent.given["email"],
            language=row.sent.given["language"],
            since=moment(row.sent.given["registered_on"], now),
        )
        for row in rows
    ]
    answers = find_or_create_people(session, programme.organisation_id, people, now)
    since: dict[int, datetime] = {}
    for row, who, answer in zip(rows, people, answers, strict=True):
        row.person_id, row.person_new = answer.person_id, answer.new
        since.setdefault(answer.person_id, who.since or now)
    cards = issue_cards(session, since, programme=programme, now=now)
    # With the persons locked: one that another import has opened meanwhile is in use.
    there = member_cards(session, programme, list(since))
    _open_again(session, programme, [card for card in there.values() if card.undone])
    for row in rows:
        issued = cards[row.person_id]
        row.card_id, row.account_id = issued.card.id, issued.card.account_id
        # The first row of a person made the card, the others join it.
        row.card_new = since.pop(row.person_id, None) is not None and (
            issued.new or there[row.person_id].undone
        )
    made = [issued.card.id for issued in cards.values() if issued.new]
    create_card_passes(session, made, programme, now)
    _register(session, found, [row.card_id for row in rows if row.card_new], now)
    hold_still(session, [row.account_id for row in rows])


def _open_again(session: Session, programme: Programme, cards: Sequence[MemberCard]) -> None:
    if cards:
        ids = [card.card_id for card in cards]
        session.execute(update(Card).where(col(Card.id).in_(ids)).values(closed_at=None))
        ledger.reopen(session, [card.account_id for card in cards], -programme.debt_limit)


def _register(session: Session, found: Import, cards: Sequence[int], now: datetime) -> None:
    """Write down that these cards came by the list."""
    if cards:
        told = {"way": Way.IMPORT, "actor": found.actor, "welcome_due": False, "created_at": now}
        session.execute(insert(Registration), [{"card_id": id_, **told} for id_ in cards])


def _give_numbers(
    session: Session, found: Import, programme: Programme, rows: Sequence[_Row], now: datetime
) -> None:
    with_number = [row for row in rows if row.sent.number]
    if not with_number:
        return
    ids = session.execute(
        insert(PlasticNumber).returning(col(PlasticNumber.id), sort_by_parameter_order=True),
        [
            {
                "organisation_id": programme.organisation_id,
                "number": row.sent.number,
                "card_id": row.card_id,
                "import_id": found.id,
                "created_at": now,
            }
            for row in with_number
        ],
    ).scalars()
    for row, id_ in zip(with_number, ids, strict=True):
        row.plastic_id = id_


def _give_points(session: Session, found: Import, rows: Sequence[_Row], now: datetime) -> None:
    """Each row is a credit of its own, so that each can be undone: one at a time per account."""
    left = [row for row in rows if row.sent.balance]
    while left:
        round_: dict[int, _Row] = {}
        for row in left:
            round_.setdefault(row.account_id, row)
        credited = ledger.credit_each(
            session,
            {account_id: row.sent.balance for account_id, row in round_.items()},
            source=SOURCE,
            actor=Actor.parse(found.actor),
            reason=found.reason,
            now=now,
            expires_at=found.expires_at,
            lane=Lane.BULK,
        )
        closed = _closed(session, round_.keys() - credited.transactions.keys())
        for account_id, row in round_.items():
            row.transaction_id = credited.transactions.get(account_id)
            if row.transaction_id is None:
                row.left = "card_closed" if account_id in closed else "full"
        taken = {id(row) for row in round_.values()}
        left = [row for row in left if id(row) not in taken]


def _closed(session: Session, account_ids: Collection[int]) -> set[int]:
    """Which of these accounts are closed."""
    if not account_ids:
        return set()
    wanted = select(Account.id).where(
        col(Account.id).in_(account_ids), col(Account.closed_at).is_not(None)
    )
    return set(session.exec(wanted))


def _give_turnover(
    session: Session, found: Import, programme: Programme, rows: Sequence[_Row], now: datetime
) -> None:
    brought = [row for row in rows if row.sent.turnover or row.sent.given["tier"]]
    if not brought or found.day is None:
        return
    kept = bring(
        session,
        programme,
        [Brought(row.account_id, row.sent.turnover, row.sent.given["tier"]) for row in brought],
        found.day,
        now,
    )
    for row, each in zip(brought, kept, strict=True):
        row.brought_id, row.tier_before = each.brought_id, each.tier_before


def _date(text: str | None) -> Any:
    return datetime.fromisoformat(text).date() if text else None
