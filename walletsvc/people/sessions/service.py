"""Opening, finding and closing the log-ins of customers.

A log-in counts as long as its time is not over, nobody closed it, the person is one of ours, and
the phone it was proven with is still theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, exists, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from walletsvc.core.ids import PUBLIC_ID, public_id, token_hash
from walletsvc.jobs.events import PersonErased, PersonsMerged, PersonsParted
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.sessions.models import CustomerSession

LIFETIME: Final = timedelta(days=30)
SEEN_EVERY: Final = timedelta(hours=1)
MOST: Final = 20  # of a person; with one more the oldest ends
_DEVICE: Final = 60
_HOLDS_PHONE: Final[ColumnElement[bool]] = exists().where(
    col(PersonPhone.person_id) == col(CustomerSession.person_id),
    col(PersonPhone.phone_id) == col(Phone.id),
    col(Phone.e164) == col(CustomerSession.phone),
)


def open_session(
    session: Session,
    person: Person,
    token: str,
    *,
    phone: str,
    proof_id: int | None,
    device: str,
    now: datetime,
) -> CustomerSession:
    """Log the person in with the bearer of `token`; the same token again is the same log-in."""
    hashed = token_hash(token)
    session.execute(
        insert(CustomerSession)
        .values(
            public_id=public_id(),
            token_hash=hashed,
            person_id=person.id,
            organisation_id=person.organisation_id,
            phone=phone,
            proof_id=proof_id,
            device=device[:_DEVICE],
            created_at=now,
            seen_at=now,
            expires_at=now + LIFETIME,
        )
        .on_conflict_do_nothing(index_elements=["token_hash"])
    )
    for old in standing(session, person.id, now)[MOST:]:
        old.closed_at = now
    session.flush()
    return session.exec(select(CustomerSession).where(CustomerSession.token_hash == hashed)).one()


def find(
    session: Session, tokens: Sequence[str], person_id: int, now: datetime
) -> CustomerSession | None:
    """The person's log-in that one of these tokens is of."""
    if not tokens:
        return None
    hashed = [token_hash(token) for token in tokens]
    return session.exec(
        _standing(person_id, now).where(col(CustomerSession.token_hash).in_(hashed))
    ).first()


def standing(session: Session, person_id: int, now: datetime) -> list[CustomerSession]:
    """The person's log-ins that count, the newest first."""
    newest = col(CustomerSession.created_at).desc(), col(CustomerSession.id).desc()
    return list(session.exec(_standing(person_id, now).order_by(*newest)))


def note_seen(session: Session, session_id: int, now: datetime) -> None:
    """The log-in was used; written down once an hour only."""
    session.execute(
        update(CustomerSession)
        .where(
            col(CustomerSession.id) == session_id,
            col(CustomerSession.seen_at) <= now - SEEN_EVERY,
        )
        .values(seen_at=now)
    )


def close(session: Session, person_id: int, session_id: str, now: datetime) -> None:
    """End the person's log-in with this public id; one that is over stays as it is."""
    if PUBLIC_ID.fullmatch(session_id):
        _end(session, now, col(CustomerSession.person_id) == person_id,
             col(CustomerSession.public_id) == session_id)  # fmt: skip


def close_all(session: Session, person_id: int, now: datetime, *, but: int | None = None) -> None:
    """End all log-ins of the person, except one (internal id)."""
    others = col(CustomerSession.id).is_distinct_from(but)
    _end(session, now, col(CustomerSession.person_id) == person_id, others)


def forget(session: Session, before: datetime) -> None:
    """Delete log-ins that ended before."""
    over = (col(CustomerSession.expires_at) < before) | (col(CustomerSession.closed_at) < before)
    session.execute(delete(CustomerSession).where(over))


def persons_merged(session: Session, event: PersonsMerged) -> None:
    """Whoever goes on must log in as the one who stays."""
    close_all(session, event.person_id, event.at)


def persons_parted(session: Session, event: PersonsParted) -> None:
    """Nobody knows any more which of the two is at which browser."""
    for person_id in (event.person_id, event.from_id):
        close_all(session, person_id, event.at)


def person_erased(session: Session, event: PersonErased) -> None:
    """Nothing of the person is kept, so neither are the log-ins."""
    session.execute(
        delete(CustomerSession).where(col(CustomerSession.person_id).in_(event.person_ids))
    )


def _standing(person_id: int, now: datetime) -> SelectOfScalar[CustomerSession]:
    return (
        select(CustomerSession)
        .join(Person, col(Person.id) == col(CustomerSession.person_id))
        .where(
            CustomerSession.person_id == person_id,
            col(CustomerSession.closed_at).is_(None),
            CustomerSession.expires_at > now,
            col(Person.closed_at).is_(None),
            col(Person.erased_at).is_(None),
            _HOLDS_PHONE,
        )
        .execution_options(populate_existing=True)
    )


def _end(session: Session, now: datetime, *which: ColumnElement[bool]) -> None:
    session.execute(
        update(CustomerSession)
        .where(*which, col(CustomerSession.closed_at).is_(None))
        .values(closed_at=now)
        .execution_options(synchronize_session="fetch")
    )


def is_of(login: CustomerSession, token: str) -> bool:
    """Whether this token is the log-in's."""
    return login.token_hash == token_hash(token)
