"""The language in which a person is written to, and in which their pass speaks."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.core.errors import wrong
from walletsvc.jobs.changes import touch
from walletsvc.people.models import Person

LANGUAGES: Final = ("ru", "en")


def set_language(session: Session, person_id: int, language: str, now: datetime) -> None:
    """Speak this language from now on; raises InputError naming `language`."""
    if language not in LANGUAGES:
        raise wrong("language", "must be ru or en", "not_allowed")
    person = session.exec(
        select(Person)
        .where(Person.id == person_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    if person.language == language:
        return
    person.language = language
    session.flush()
    cards = session.exec(
        select(Card.id).where(Card.person_id == person_id, col(Card.closed_at).is_(None))
    ).all()
    touch(session, "card", sorted(cards), at=now)
