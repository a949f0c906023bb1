"""Points without a purchase, as the rules give them: a welcome, a birthday, a named event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.core.actor import SYSTEM, Actor
from walletsvc.core.errors import NotFound, NotVerified, Refused
from walletsvc.enrolment.personal.welcomes import hashed
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Transaction, Unit
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook import gifts
from walletsvc.programmes.rulebook.gifts import Given
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.rulebook.stacking import birthday_in
from walletsvc.storage.rows import get
from walletsvc.storage.statement import Statement

# How long after its day a birthday is made up for, when no worker was there to think of it.
LATE: Final = timedelta(days=3)
_PIECE: Final = 500

# Cards whose holder was born on one of these days of the year, and that got nothing for this one.
_DUE: Final = text("""
SELECT c.id, c.account_id, n.birthday, n.language, d.year
  FROM unnest(CAST(:days AS text[]), CAST(:years AS int[])) AS d(day, year)
  JOIN persons n ON to_char(n.birthday, 'MM-DD') = d.day
  JOIN cards c ON c.person_id = n.id
 WHERE c.programme_id = :programme_id AND c.closed_at IS NULL AND c.created_at < :now
   AND (c.verified_at IS NOT NULL OR NOT :verified_only)
   AND NOT EXISTS (SELECT FROM birthday_gifts g WHERE g.card_id = c.id AND g.year = d.year)
 ORDER BY c.account_id LIMIT :most
""")
_NOTE: Final = text(
    "INSERT INTO birthday_gifts (card_id, year, given_at) VALUES (:card_id, :year, :now)"
    " ON CONFLICT DO NOTHING RETURNING card_id"
)

# Whether a card had its welcome points, as the table's two partial indexes are asked.
_HAD_POINTS: Final = """
       (EXISTS (SELECT FROM lots l WHERE l.account_id = c.account_id AND l.remaining > 0
                   AND l.source = 'registration')
     OR EXISTS (SELECT FROM lots l WHERE l.account_id = c.account_id AND l.remaining = 0
                   AND l.source = 'registration'))
"""
# The same of all the cards of a phone in a programme: of people who answer it now, of those who
# agreed with a proof of it or had it changed since, whosever row each became part of, and of those
# who were erased.
_WELCOMED: Final = Statement(
    f"""
WITH RECURSIVE who (id) AS (
    SELECT pp.person_id FROM person_phones pp JOIN phones f ON f.id = pp.phone_id
     WHERE f.e164 = :phone
    UNION
    SELECT a.person_id FROM consents a JOIN phone_proofs p ON p.id = a.proof_id
     WHERE p.phone = :phone
    UNION
    SELECT person_id FROM phone_changes WHERE former = :phone AND NOT mistyped
    UNION
    SELECT n.merged_into_id FROM who JOIN persons n ON n.id = who.id
     WHERE n.merged_into_id IS NOT NULL)
SELECT 1 FROM cards c
 WHERE c.programme_id = :programme AND c.person_id IN (SELECT id FROM who)
   AND {_HAD_POINTS}
UNION ALL
SELECT 1 FROM welcomed_phones WHERE programme_id = :programme AND phone_hash = :hash
 LIMIT 1
"""  # noqa: S608 - our own words
)
# The same the other way round: by which phones these people were or could have been welcomed.
_PHONES: Final = text(
    "SELECT f.e164 FROM person_phones pp JOIN phones f ON f.id = pp.phone_id"
    " WHERE pp.person_id = ANY(:persons) UNION"
    " SELECT p.phone FROM consents a JOIN phone_proofs p ON p.id = a.proof_id"
    " WHERE a.person_id = ANY(:persons) AND p.phone <> '' UNION"
    " SELECT former FROM phone_changes"
    " WHERE person_id = ANY(:persons) AND former IS NOT NULL AND NOT mistyped"
)
_GAVE: Final = text(
    "SELECT DISTINCT c.programme_id FROM cards c"  # noqa: S608 - our own words
    f" WHERE c.id = ANY(CAST(:cards AS bigint[])) AND {_HAD_POINTS}"
)


def welcomed(session: Session, programme: Programme, phone: str) -> bool:
    """Whether somebody with this phone (E.164, locked by the caller) was welcomed to the programme
    before: new names cost nothing, phones do."""
    values = {"programme": programme.id, "phone": phone, "hash": hashed(programme.id, phone)}
    return _WELCOMED.first(session, values) is not None


def gave(session: Session, cards: Sequence[int]) -> list[int]:
    """The programmes of those of the cards (by internal id) that had their welcome points."""
    return list(session.execute(_GAVE, {"cards": list(cards)}).scalars())


def phones(session: Session, people: Sequence[int]) -> list[str]:
    """All phones (E.164) by which `welcomed` finds these people (internal ids); a number that was
    mistyped is not one."""
    return list(session.execute(_PHONES, {"persons": list(people)}).scalars())


def welcome(
    session: Session, card: Card, programme: Programme, language: str, actor: Actor, now: datetime
) -> Transaction | None:
    """What a new member gets by the rules of the moment; None when that is nothing."""
    book = _book(session, programme)
    if book is None:
        return None
    given = gifts.registration(book, now, _zone(programme), _scale(session, programme))
    if given is None:
        return None
    return _give(session, card.id, card.account_id, given, language, actor, now, "registration")


def named(
    session: Session,
    card: Card,
    programme: Programme,
    event: str,
    language: str,
    actor: Actor,
    now: datetime,
    branch_id: int | None = None,
) -> Transaction:
    """What a named event brings; raises NotFound when the rules have none of that name, Refused for
    a closed card and NotVerified."""
    if card.closed_at is not None:
        raise Refused("The card is closed.")
    if programme.verified_only and card.verified_at is None:
        raise NotVerified("The card earns nothing: its holder has not proved a phone yet.")
    if programme.kind is not ProgrammeKind.POINTS:
        raise NotFound(f"Events give points; a {programme.kind} programme counts none.")
    book = _book(session, programme)
    if book is None:
        raise NotFound("The programme has no rules, and so no events.")
    given = gifts.manual(book, event, now, _zone(programme), _scale(session, programme))
    return _give(
        session, card.id, card.account_id, given, language, actor, now, "event",
        branch_id=branch_id,
    )  # fmt: skip


def birthdays(session: Session, programme: Programme, now: datetime) -> int:
    """Give up to some hundred cards of a programme what their holders' birthday brings, each once
    for a birthday; how many got it. Call it until there are none."""
    book = _book(session, programme)
    zone = _zone(programme)
    if book is None or book.events.birthday is None:
        return 0
    given = gifts.birthday(book, now, zone, _scale(session, programme))
    early = timedelta(days=book.events.birthday.days_before)
    days = list(_days(now.astimezone(zone).date(), early))
    values: dict[str, Any] = {
        "days": [day for day, _ in days],
        "years": [year for _, year in days],
        "programme_id": programme.id,
        "verified_only": programme.verified_only,
        "now": now,
        "most": _PIECE,
    }
    done = 0
    for row in session.execute(_DUE, values).all():
        noted = {"card_id": row.id, "year": row.year, "now": now}
        if given is None or session.execute(_NOTE, noted).first() is None:
            continue  # another worker was quicker
        _give(
            session, row.id, row.account_id, given, row.language, SYSTEM, now, "birthday",
            lane=Lane.BULK,
        )  # fmt: skip
        done += 1
    return done


def programmes(session: Session) -> list[Programme]:
    """Those that may give points."""
    kind = col(Programme.kind) == ProgrammeKind.POINTS
    return list(session.exec(select(Programme).where(kind).order_by(col(Programme.id))))


def programme(session: Session, programme_id: int) -> Programme:
    """One of them."""
    return session.get_one(Programme, programme_id)


def _days(today: date, early: timedelta) -> Iterator[tuple[str, int]]:
    """The birthdays whose points are due today or were within the last days: as month and day,
    and the year they fall into."""
    for late in range(LATE.days + 1):
        day = today - timedelta(days=late) + early
        yield f"{day:%m-%d}", day.year
        born = date(2000, 2, 29)
        if birthday_in(day.year, born) == day and day.day != born.day:
            yield f"{born:%m-%d}", day.year


def _give(
    session: Session,
    card_id: int,
    account_id: int,
    given: Given,
    language: str,
    actor: Actor,
    now: datetime,
    source: str,
    *,
    branch_id: int | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Transaction:
    return ledger.credit(
        session,
        account_id,
        given.points,
        source=source,
        actor=actor,
        reason=words(given.explanation[0], language)[:200],
        now=now,
        branch_id=branch_id,
        card_id=card_id,
        expires_at=given.expires_at,
        promotional=True,
        lane=lane,
    )


def _book(session: Session, programme: Programme) -> RuleBook | None:
    if programme.kind is not ProgrammeKind.POINTS:
        return None
    version = versions.current(session, programme.id)
    return versions.book_of(version) if version else None


def _zone(programme: Programme) -> ZoneInfo:
    return ZoneInfo(programme.time_zone)


def _scale(session: Session, programme: Programme) -> int:
    return get(session, Unit, programme.unit_id).scale
