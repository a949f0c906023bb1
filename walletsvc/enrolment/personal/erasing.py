"""Taking a person out of the records for good, while every sum of the ledger stays.

Locks are taken in one order: phones, persons, cards with their groups, accounts; each ascending.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session, col, select, update

from walletsvc.cards.groups import service as groups
from walletsvc.cards.groups.locking import lock_with_groups
from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, Refused
from walletsvc.core.ids import secret_token, token_hash
from walletsvc.enrolment import gifts
from walletsvc.enrolment.personal import welcomes
from walletsvc.enrolment.personal.export import unnamed_messages
from walletsvc.enrolment.personal.models import Erasure
from walletsvc.enrolment.personal.subject import Key, Subject, subject_of
from walletsvc.enrolment.personal.tables import ERASED
from walletsvc.jobs.changes import touch
from walletsvc.jobs.events import PersonErased, emit
from walletsvc.ledger import queries as balances
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Account, Lot, SystemCode
from walletsvc.merchants.rules import check_text
from walletsvc.people.consents.models import Consent
from walletsvc.people.locking import lock_persons, lock_phones
from walletsvc.people.models import Person
from walletsvc.storage.columns import keyring

_FORFEIT: Final = "Erasure"
_BLANK_MESSAGE: Final = text(ERASED["messages"].split(" WHERE ")[0] + " WHERE id = ANY(:ids)")


@dataclass
class _Points:
    """By public id of the card: what was forfeited, and what is left, in minor units."""

    forfeited: dict[str, int] = field(default_factory=dict)
    remaining: dict[str, int] = field(default_factory=dict)


def erase(
    session: Session,
    person: Person,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
    forfeit: bool = False,
) -> Erasure:
    """Take out everything personal of a person and of the rows merged into theirs. Irreversible.

    Cards are closed and their passes voided; who shares points leaves the group with nothing. What
    the ledger has done stays, under numbers that name nobody. Of agreements stays who asked for
    what, when and how, with a keyed hash of the phone; of one that was welcomed, another (see
    `welcomes`). Points that are left are forfeited with `forfeit`; a debt remains and is told.

    Raises InputError (no reason), Conflict (erased before, merged into another, value is reserved)
    and Refused (points are left, without `forfeit`; its data says how many, by card).
    """
    reason = check_text("reason", reason, 200)
    person, subject = _lock(session, person)
    _require_whole(person)
    person_id = person.id
    gave = gifts.gave(session, subject.ids[Key.CARD])
    welcomes.keep(session, gave, gifts.phones(session, subject.ids[Key.PERSON]), now)
    points = _close_cards(session, subject, actor, now, forfeit)
    _hash_phones(session, subject)
    for row in unnamed_messages(session, subject):
        _run(session, _BLANK_MESSAGE, subject, actor, now, ids=[row["id"]])
    for statement in ERASED.values():
        _run(session, text(statement), subject, actor, now)
    session.expire_all()
    made = Erasure(
        organisation_id=subject.organisation_id,
        person_id=person_id,
        reason=reason,
        actor=str(actor),
        forfeited=points.forfeited,
        remaining=points.remaining,
        at=now,
    )
    session.add(made)
    session.flush()
    _tell(session, subject, now)
    return made


def _tell(session: Session, subject: Subject, now: datetime) -> None:
    """Passes are rendered anew, and whoever keeps more of the person takes it out as well."""
    touch(session, "card", subject.ids[Key.CARD], at=now)
    emit(
        session,
        PersonErased(
            at=now,
            organisation_id=subject.organisation_id,
            person_ids=tuple(subject.ids[Key.PERSON]),
            card_ids=tuple(subject.ids[Key.CARD]),
            phones=tuple(phone for phone, span in subject.own.items() if span.until is None),
        ),
    )


def _lock(session: Session, person: Person) -> tuple[Person, Subject]:
    """The person and all rows merged into theirs, locked; nobody joins them meanwhile."""
    before = subject_of(session, person)
    lock_phones(session, before.ids[Key.PHONE] + before.ids[Key.LEFT_PHONE])
    persons = lock_persons(session, *before.ids[Key.PERSON])
    subject = subject_of(session, person)
    if subject.ids[Key.PERSON] != before.ids[Key.PERSON]:
        raise Conflict("The person changed at this moment; please try again.")
    return persons[person.id], subject


def _require_whole(person: Person) -> None:
    if person.erased_at is not None:
        raise Conflict("The person was erased before.", person=person.public_id)
    if person.merged_into_id is not None:
        raise Conflict("The person was merged into another: erase that one.")


def _close_cards(
    session: Session, subject: Subject, actor: Actor, now: datetime, forfeit: bool
) -> _Points:
    """Close every card and take its points, as far as they are its own."""
    points, left = _Points(), {}
    ids = subject.ids[Key.CARD]
    locked = lock_with_groups(session, *ids) if ids else {}
    for card in (locked[id_] for id_ in ids):
        if card.merged_into_id is not None:
            continue
        if card.group_id is not None:
            groups.leave(session, card, 0, actor=actor, now=now)
        account = session.get_one(Account, card.account_id)
        if account.merged_into_id is not None:  # the card was closed when its plastic was claimed
            continue
        left[card.public_id] = _own_points(session, card, now)
        if forfeit:
            points.forfeited[card.public_id] = _forfeit(session, card, actor, now)
        if remaining := balances.balance(session, card.account_id):
            points.remaining[card.public_id] = remaining
    left = {card: amount for card, amount in left.items() if amount}
    if left and not forfeit:
        raise Refused("There are points left: forfeit them, or let them be spent.", points=left)
    for id_ in ids:
        _shut(session, locked[id_], now)
    session.flush()
    return points


def _own_points(session: Session, card: Card, now: datetime) -> int:
    """What the card has and is promised; raises Conflict while any of it is reserved."""
    locked = ledger.lock(session, [card.account_id], now=now)[card.account_id]
    if locked.standing.held:
        raise Conflict(
            "A part of the balance is reserved: capture or release the hold first.",
            card=card.public_id,
        )
    explained = balances.explain(session, card.account_id)
    return explained.available(now) + sum(lot.remaining for lot in _promised(session, card))


def _promised(session: Session, card: Card) -> list[Lot]:
    wanted = select(Lot).where(
        Lot.account_id == card.account_id, col(Lot.matured_id).is_(None), Lot.remaining > 0
    )
    return list(session.exec(wanted.order_by(col(Lot.id))))


def _forfeit(session: Session, card: Card, actor: Actor, now: datetime) -> int:
    """Write the card's points off; those promised for later do not come."""
    common: dict[str, Any] = {"actor": actor, "reason": _FORFEIT, "now": now, "card_id": card.id}
    gone = 0
    for lot in _promised(session, card):
        ledger.reverse(session, lot.transaction_id, **common)
        gone += lot.remaining
    available = balances.explain(session, card.account_id).available(now)
    if available:
        ledger.debit(session, card.account_id, available, against=SystemCode.BREAKAGE, **common)
    return gone + available


def _shut(session: Session, card: Card, now: datetime) -> None:
    """Close a card; whoever has its link finds nothing any more."""
    token = secret_token()
    card.link_token, card.link_hash = token, token_hash(token)
    card.closed_at = card.closed_at or now
    session.add(card)


def _hash_phones(session: Session, subject: Subject) -> None:
    """An agreement can still be proven to whoever names the phone."""
    agreed = select(Consent.id, Consent.phone).where(
        col(Consent.person_id).in_(subject.ids[Key.PERSON]), col(Consent.phone).is_not(None)
    )
    for id_, phone in session.exec(agreed):
        hashed = keyring().lookup_hash(f"consent {phone}")
        session.exec(update(Consent).where(col(Consent.id) == id_).values(phone_hash=hashed))


def _run(
    session: Session,
    statement: Any,
    subject: Subject,
    actor: Actor,
    now: datetime,
    **more: Any,
) -> None:
    values: dict[str, Any] = {key.value: ids for key, ids in subject.ids.items()} | more
    values |= {
        "now": now,
        "actor": str(actor),
        **subject.own_values(),
        "organisation_id": subject.organisation_id,
        "nothing": keyring().encrypt("{}"),
    }
    wanted = statement.compile().params
    session.execute(statement, {name: value for name, value in values.items() if name in wanted})
