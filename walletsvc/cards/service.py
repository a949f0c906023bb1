"""Issuing cards."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, select

from walletsvc.cards.models import Card
from walletsvc.cards.rules import new_number
from walletsvc.core.errors import Conflict, DuplicateMember, Refused
from walletsvc.core.ids import secret_token, token_hash
from walletsvc.ledger.models import AccountKind
from walletsvc.ledger.service import open_account
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme, ProgrammeKind


def issue_card(session: Session, *, person: Person, programme: Programme, now: datetime) -> Card:
    """A card with an empty account of its own.

    Raises DuplicateMember, whose data holds `card_id`, when the person has a card of this
    programme, Conflict when the person's record is closed, and Refused when the programme is
    closed or issues certificates. The person is locked first, so of two issues at once the second
    finds the first. The account may owe what the programme's debt limit allows.
    """
    if programme.kind is ProgrammeKind.GIFT:
        raise Refused(f"The programme '{programme.slug}' issues certificates, not cards.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")
    closed = select(Person.closed_at).where(Person.id == person.id).with_for_update()
    if session.exec(closed).one() is not None:
        # Merged or erased while this waited: who asks again finds who the person is by now.
        raise Conflict("This person's record was closed at this moment; please try again.")
    existing = session.exec(
        select(Card).where(Card.person_id == person.id, Card.programme_id == programme.id)
    ).first()
    if existing is not None:
        raise DuplicateMember(
            "This person has a card of this programme already.", card_id=existing.public_id
        )
    # Shared: whoever changes the limit waits for this card, and then finds its account.
    limit = session.exec(
        select(Programme.debt_limit).where(Programme.id == programme.id).with_for_update(read=True)
    ).one()
    account = open_account(
        session,
        organisation_id=programme.organisation_id,
        unit_id=programme.unit_id,
        kind=AccountKind.CUSTOMER,
        now=now,
        min_balance=-limit,
    )
    token = secret_token()
    card = Card(
        person_id=person.id,
        programme_id=programme.id,
        account_id=account.id,
        number=new_number(),
        link_token=token,
        link_hash=token_hash(token),
        created_at=now,
    )
    session.add(card)
    session.flush()
    return card
