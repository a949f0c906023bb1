"""Cards whose holder proved a phone, and what waits for that."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Refused, wrong
from walletsvc.enrolment import gifts
from walletsvc.enrolment.models import Registration
from walletsvc.jobs.changes import touch
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people import phones
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme


def verified(session: Session, card: Card, now: datetime) -> bool:  # noqa: ARG001
    """Whether the card may earn and spend: its holder proved a phone, or the programme does not
    ask for that."""
    if card.verified_at is not None:
        return True
    return not session.get_one(Programme, card.programme_id).verified_only


def proven(session: Session, card: Card, person: Person, proof: PhoneProof, now: datetime) -> None:
    """The holder proved a phone: it is theirs, and the card counts from now on. The first time
    is kept."""
    phones.verify(session, person, proof.phone, now)
    if card.verified_at is None:
        card.verified_at = now
        session.flush()


def verify(session: Session, card: Card, proof: PhoneProof, *, actor: Actor, now: datetime) -> Card:
    """Verify a card by a used proof of one of its holder's phones; who has none gets this one.

    What new members get and was kept back comes now, once. Raises InputError naming `proof` when
    the phone is another's, Refused for a closed card.
    """
    # The phone first, as everybody who registers does: two who meet here must not deadlock.
    phones.lock_phone(session, proof.phone, now)
    card = session.get_one(
        Card, card.id, with_for_update={"key_share": True}, populate_existing=True
    )
    if card.closed_at is not None:
        raise Refused("The card is closed.")
    person = session.get_one(Person, card.person_id)
    if proof.phone not in (phones.phones_of(session, person.id) or [proof.phone]):
        raise wrong("proof", "is of another phone than the holder's", "not_allowed")
    proven(session, card, person, proof, now)
    give_welcome(session, card, person.language, actor, now)
    touch(session, "card", [card.id], at=now)
    return card


def give_welcome(session: Session, card: Card, language: str, actor: Actor, now: datetime) -> None:
    """Give what was kept back until the card was verified; the card must be locked."""
    registration = session.get(Registration, card.id, populate_existing=True)
    if registration is None or not registration.welcome_due:
        return
    registration.welcome_due = False
    session.flush()
    programme = session.get_one(Programme, card.programme_id)
    gifts.welcome(session, card, programme, language, actor, now)
