"""Answers to what customers write by SMS: БАЛАНС, УСЛОВИЯ, СТОП, in either language.

Each answer costs money and goes to whoever holds the phone: they are few per phone, say no name,
and nothing that a stranger could not have had from the card's face. СТОП is obeyed always, whether
or not there is an answer left.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from babel.numbers import format_decimal
from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import TooManyTries
from walletsvc.jobs.events import MessageReceived
from walletsvc.ledger.models import Account, Unit
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.outbox import Recipient, enqueue
from walletsvc.people.consents.models import ConsentChannel, Purpose, Way
from walletsvc.people.consents.service import withdraw
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage import limits
from walletsvc.storage.columns import keyring
from walletsvc.storage.limits import Limit

ANSWERS: Final = Limit("sms-answers", 10, timedelta(hours=1))
HELP: Final = Limit("sms-help", 1, timedelta(days=1))
_STALE: Final = timedelta(hours=1)  # nobody waits for an answer any longer
_MOST_ORGANISATIONS: Final = 3
_MOST_CARDS: Final = 5
_MOST_LINKS: Final = 2


class Word(enum.Enum):
    """What a customer can ask for."""

    BALANCE = frozenset({"баланс", "бонусы", "баллы", "balance", "points"})
    TERMS = frozenset({"условия", "правила", "terms", "rules"})
    STOP = frozenset({"стоп", "отписка", "отписаться", "stop", "unsubscribe"})


def message_received(session: Session, event: MessageReceived, *, base_url: str) -> None:
    """Do what the message asks for, and answer it."""
    people = _people(session, event.phone, event.organisation_id)
    word = understood(event.text)
    if word is Word.STOP:
        _stop(session, people, event)
    organisations = list(dict.fromkeys(person.organisation_id for person in people))
    if not organisations and event.organisation_id is not None:
        organisations = [event.organisation_id]
    language = _language(event.text, people)
    for organisation_id in organisations[:_MOST_ORGANISATIONS]:
        own = [person for person in people if person.organisation_id == organisation_id]
        # A number that somebody typed to a person's data may be a stranger's.
        asking = _proven(session, own, event.phone) if word is Word.BALANCE else own
        kind, values = _answer(session, word, organisation_id, asking, language, base_url)
        if _allowed(session, kind, organisation_id, event):
            enqueue(
                session,
                organisation_id=organisation_id,
                kind=kind,
                to=Recipient(event.phone),
                values=values,
                language=language,
                now=event.at,
                person_id=own[0].id if own else None,
                expires_at=event.at + _STALE,
            )


def understood(text: str) -> Word | None:
    """What a text asks for; people add greetings' worth of dots and a second word."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("ё", "е")
    first = next(iter(re.findall(r"[^\W\d_]+", plain)), "")
    return next((word for word in Word if first in word.value), None)


def _language(text: str, people: Sequence[Person]) -> str:
    """That of the letters they wrote in; without any, the person's."""
    if re.search(r"[а-яё]", text, re.IGNORECASE):
        return "ru"
    if re.search(r"[a-z]", text, re.IGNORECASE):
        return "en"
    return people[0].language if people else "ru"


def _answer(
    session: Session,
    word: Word | None,
    organisation_id: int,
    people: Sequence[Person],
    language: str,
    base_url: str,
) -> tuple[MessageKind, dict[str, str]]:
    if word is Word.STOP:
        return MessageKind.STOPPED, {}
    if word is Word.BALANCE:
        balances = _balances(session, people, language)
        if balances:
            return MessageKind.BALANCE, {"balances": balances}
    if word is Word.TERMS:
        links = _terms(session, organisation_id, people, base_url)
        if links:
            return MessageKind.TERMS, {"link": links}
    return MessageKind.HELP, {}


def _allowed(
    session: Session, kind: MessageKind, organisation_id: int, event: MessageReceived
) -> bool:
    limit = HELP if kind is MessageKind.HELP else ANSWERS
    subject = f"{organisation_id}:{keyring().lookup_hash(event.phone).hex()}"
    try:
        limits.count(session, [(limit, subject)], event.at)
    except TooManyTries:
        return False
    return True


def _stop(session: Session, people: Sequence[Person], event: MessageReceived) -> None:
    """Who holds the phone wants no advertising there, whichever of the family agreed to it."""
    for person in people:
        withdraw(
            session,
            person,
            purpose=Purpose.ADVERTISING,
            channel=ConsentChannel.SMS,
            way=Way.SMS,
            actor=Actor("customer", person.public_id),
            now=event.at,
        )


def _people(session: Session, phone: str, organisation_id: int | None) -> Sequence[Person]:
    wanted = (
        select(Person)
        .join(PersonPhone, col(PersonPhone.person_id) == col(Person.id))
        .join(Phone, col(Phone.id) == col(PersonPhone.phone_id))
        .where(
            Phone.e164 == phone,
            col(Person.closed_at).is_(None),
            col(Person.erased_at).is_(None),
        )
        .order_by(col(Person.organisation_id), col(Person.id))
    )
    if organisation_id is not None:
        wanted = wanted.where(Person.organisation_id == organisation_id)
    return session.exec(wanted).all()


def _proven(session: Session, people: Sequence[Person], phone: str) -> Sequence[Person]:
    """Those who proved to hold the phone."""
    held = set(
        session.exec(
            select(PersonPhone.person_id)
            .join(Phone, col(Phone.id) == col(PersonPhone.phone_id))
            .where(Phone.e164 == phone, col(PersonPhone.verified_at).is_not(None))
        )
    )
    return [person for person in people if person.id in held]


def _cards(session: Session, people: Sequence[Person]) -> Sequence[tuple[Programme, Unit, Account]]:
    """What their open cards count; a balance that a family shares comes once."""
    rows = session.exec(
        select(Programme, Unit, Account)
        .join(Card, col(Card.programme_id) == col(Programme.id))
        .join(Unit, col(Unit.id) == col(Programme.unit_id))
        .join(Account, col(Account.id) == col(Card.account_id))
        .where(
            col(Card.person_id).in_([person.id for person in people]),
            col(Card.closed_at).is_(None),
            col(Programme.closed_at).is_(None),
        )
        .order_by(col(Card.id))
        .execution_options(populate_existing=True)
    ).all()
    return list(
        {account.id: (programme, unit, account) for programme, unit, account in rows}.values()
    )


def _balances(session: Session, people: Sequence[Person], language: str) -> str:
    told = []
    for programme, unit, account in _cards(session, people):
        if programme.kind is ProgrammeKind.DISCOUNT:
            continue  # it counts nothing
        number = format_decimal(Decimal(account.balance or 0).scaleb(-unit.scale), locale=language)
        if programme.kind is ProgrammeKind.GIFT:
            sign = "₽" if (language, programme.currency) == ("ru", "RUB") else programme.currency
            number = f"{number} {sign}"
        told.append(f"{programme.name} {number}")
    # Typographic spaces would make an English SMS twice as long.
    return "; ".join(told[:_MOST_CARDS]).replace("\xa0", " ").replace("\u202f", " ")


def _terms(session: Session, organisation_id: int, people: Sequence[Person], base_url: str) -> str:
    """The conditions of their programmes; of all of the organisation's when they have no card."""
    programmes = [programme for programme, _, _ in _cards(session, people)]
    if not programmes:
        wanted = select(Programme).where(
            Programme.organisation_id == organisation_id, col(Programme.closed_at).is_(None)
        )
        programmes = list(session.exec(wanted.order_by(col(Programme.id))))
    slugs = list(dict.fromkeys(programme.slug for programme in programmes))
    return " ".join(f"{base_url}/terms/{slug}" for slug in slugs[:_MOST_LINKS])
