"""Versions of a programme's rules: the draft, publishing it, and which one counts when.

A programme has at most one draft and one published version; published ones never change. Who
saves or publishes locks the programme's row first, so that of two at once the second finds what
the first did. A programme without any version earns nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, func, select

from walletsvc.core.actor import Actor
from walletsvc.core.errors import Conflict, NotFound
from walletsvc.jobs.events import RulesPublished, emit
from walletsvc.merchants.rules import check_text
from walletsvc.programmes import references
from walletsvc.programmes.locking import lock
from walletsvc.programmes.models import Programme, RuleState, RuleVersion
from walletsvc.programmes.rulebook.schemas import Earn, RuleBook
from walletsvc.storage.rows import Read

# Published books by the version's public id, which can never be another database's.
_BOOKS: Final[dict[str, RuleBook]] = {}
_BOOKS_LOCK: Final = threading.Lock()
_MOST_BOOKS: Final = 256

_IN_STATE: Final = Read(RuleVersion, "WHERE programme_id = :programme AND state = :state")

# Without a programme, or before its rules are published, a sale earns nothing.
NO_RULES: Final = RuleBook(earn=Earn.model_validate({"percent": "0"}))


def save_draft(
    session: Session, programme: Programme, book: RuleBook, actor: Actor, note: str, now: datetime
) -> RuleVersion:
    """Write the book down as the programme's draft, in place of the one before.

    Raises InputError, naming each field, for branches, groups and organisations that do not exist
    or are not the programme's to name, and Refused for a closed programme.
    """
    note = check_text("note", note, 200, required=False)
    lock(session, programme)
    references.require(session, programme, book)
    draft = find_draft(session, programme.id)
    if draft is None:
        draft = RuleVersion(
            programme_id=programme.id,
            number=_next_number(session, programme.id),
            book={},
            actor="",
            created_at=now,
            updated_at=now,
        )
    draft.book = book.model_dump(mode="json")
    draft.note, draft.actor, draft.updated_at = note, str(actor), now
    session.add(draft)
    session.flush()
    return draft


def publish(session: Session, programme: Programme, actor: Actor, now: datetime) -> RuleVersion:
    """Make the draft the rules from now on, and retire the former version.

    What the book names is looked up again. Emits RulesPublished. Raises Conflict when there is no
    draft, and what `save_draft` raises.
    """
    lock(session, programme)
    draft = find_draft(session, programme.id)
    if draft is None:
        raise Conflict(f"The programme '{programme.slug}' has no draft of its rules to publish.")
    references.require(session, programme, book_of(draft))
    former = current(session, programme.id)
    # Hosts' clocks differ: versions follow each other in time as they do in number.
    at = max(now, former.published_at) if former and former.published_at else now
    if former is not None:
        former.state, former.retired_at = RuleState.RETIRED, at
        session.add(former)
        session.flush()  # before the other: one is published at a time
    draft.state, draft.published_at, draft.actor = RuleState.PUBLISHED, at, str(actor)
    session.add(draft)
    session.flush()
    emit(
        session,
        RulesPublished(
            at=at,
            programme_id=programme.id,
            version_id=draft.id,
            former_id=former.id if former else None,
            actor=actor,
        ),
    )
    return draft


def published_at(session: Session, programme_id: int, at: datetime) -> RuleVersion | None:
    """The version that counted at a moment; the earliest when it is before all of them.

    None for a programme that has never published any: it earns nothing.
    """
    published = select(RuleVersion).where(
        RuleVersion.programme_id == programme_id, col(RuleVersion.published_at).is_not(None)
    )
    by_number = col(RuleVersion.number)
    before = published.where(col(RuleVersion.published_at) <= at).order_by(by_number.desc())
    found = session.exec(before.limit(1)).first()
    return found or session.exec(published.order_by(by_number).limit(1)).first()


def current(session: Session, programme_id: int) -> RuleVersion | None:
    """The published version."""
    return _in_state(session, programme_id, RuleState.PUBLISHED)


def find_draft(session: Session, programme_id: int) -> RuleVersion | None:
    """The draft."""
    return _in_state(session, programme_id, RuleState.DRAFT)


def numbers(session: Session, programme_ids: Sequence[int]) -> dict[tuple[int, RuleState], int]:
    """The numbers of the published versions and the drafts, by programme and state."""
    rows = session.exec(
        select(RuleVersion.programme_id, RuleVersion.state, RuleVersion.number).where(
            col(RuleVersion.programme_id).in_(programme_ids),
            col(RuleVersion.state) != RuleState.RETIRED,
        )
    )
    return {(programme_id, RuleState(state)): number for programme_id, state, number in rows}


def get(session: Session, programme: Programme, number: int) -> RuleVersion:
    """The version with this number; raises NotFound."""
    found = session.exec(
        select(RuleVersion).where(
            RuleVersion.programme_id == programme.id, RuleVersion.number == number
        )
    ).first()
    if found is None:
        raise NotFound(f"The rules of '{programme.slug}' have no version {number}.")
    return found


def list_versions(
    session: Session, programme: Programme, *, before: int | None = None, limit: int = 50
) -> list[RuleVersion]:
    """Versions, the newest first, with numbers below `before`."""
    wanted = select(RuleVersion).where(RuleVersion.programme_id == programme.id)
    if before is not None:
        wanted = wanted.where(RuleVersion.number < before)
    return list(session.exec(wanted.order_by(col(RuleVersion.number).desc()).limit(limit)))


def book_of(version: RuleVersion) -> RuleBook:
    """The version's book; published ones are read once per process."""
    if version.state is RuleState.DRAFT:
        return RuleBook.model_validate(version.book)
    found = known_book(version.public_id)
    if found is None:
        found = RuleBook.model_validate(version.book)
        with _BOOKS_LOCK:
            while len(_BOOKS) >= _MOST_BOOKS:
                del _BOOKS[next(iter(_BOOKS))]  # the one that was read first
            _BOOKS[version.public_id] = found
    return found


def known_book(public_id: str) -> RuleBook | None:
    """The book of a published version, when this process has read it before."""
    return _BOOKS.get(public_id)


def learn_book(session: Session, public_id: str) -> None:
    """Have `known_book` know this published version."""
    if public_id not in _BOOKS:
        book_of(session.exec(select(RuleVersion).where(RuleVersion.public_id == public_id)).one())


def _in_state(session: Session, programme_id: int, state: RuleState) -> RuleVersion | None:
    return _IN_STATE.first(session, programme=programme_id, state=state.value)


def _next_number(session: Session, programme_id: int) -> int:
    numbers = select(func.max(RuleVersion.number)).where(RuleVersion.programme_id == programme_id)
    return (session.exec(numbers).one() or 0) + 1
