"""Who is logged in at a card's page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.ledger.models import Unit
from walletsvc.passes.service import find_by_link
from walletsvc.people.models import Person
from walletsvc.people.sessions import service as sessions
from walletsvc.people.sessions.models import CustomerSession
from walletsvc.programmes.models import Programme
from walletsvc.storefront.account import cookies


@dataclass(frozen=True)
class Visitor:
    """The holder of a card, logged in at its page, whose address has `token`."""

    token: str
    login: CustomerSession
    person: Person
    card: Card
    programme: Programme
    unit: Unit

    @property
    def base(self) -> str:
        """The address of the card's page."""
        return f"/c/{self.token}"


def card_of(session: Session, token: str) -> Card | None:
    """The card whose page this is; None for a certificate's page, and for nobody's."""
    subject = find_by_link(session, token)
    return subject.card if subject else None


def visitor(session: Session, token: str, now: datetime) -> Visitor | None:
    """The card's holder, if it is them who are logged in in this browser; a log-in of another
    person opens nothing here."""
    tokens = cookies.tokens()
    card = card_of(session, token) if tokens else None
    login = sessions.find(session, tokens, card.person_id, now) if card else None
    if card is None or login is None:
        return None
    programme = session.get_one(Programme, card.programme_id)
    return Visitor(
        token=token,
        login=login,
        person=session.get_one(Person, card.person_id),
        card=card,
        programme=programme,
        unit=session.get_one(Unit, programme.unit_id),
    )


def cards_of(session: Session, found: Visitor) -> list[int]:
    """The card and those that were merged into it: what was bought with them is told too."""
    return list(
        session.exec(
            select(Card.id).where(
                (col(Card.id) == found.card.id) | (col(Card.merged_into_id) == found.card.id)
            )
        )
    )
