"""Other rules were published: the accounts of all cards go where those put them.

Up at once, out of a tier that is no more at once; down waits for the regular check. A bulk job
does it: the publication itself is one small transaction, however many cards there are. The job
reads the rules that are published when it comes to an account, so a newer one replaces it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Handler, Piece
from walletsvc.jobs.events import RulesPublished
from walletsvc.programmes.models import Programme, RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.many import settle_many
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.programmes.versions import book_of, current

KIND: Final = "tiers"

_COUNT: Final = text(
    "SELECT count(DISTINCT account_id) FROM cards"
    " WHERE programme_id = :programme_id AND closed_at IS NULL"
)
_NEXT: Final = text(
    "SELECT DISTINCT account_id FROM cards WHERE programme_id = :programme_id"
    " AND closed_at IS NULL AND account_id > :cursor ORDER BY account_id LIMIT :limit"
)


_Said = tuple[int | None, dict[str | None, Decimal]]
_NOTHING_SAID: Final[_Said] = (None, {None: Decimal(0)})


def rules_published(session: Session, event: RulesPublished) -> None:
    """Begin to move the cards, when the tiers or what counts towards them changed.

    The job has every pass looked at anew, so it is begun too for what else of the rules stands on
    cards: how many stamps fill one, and the discount.
    """
    book = book_of(session.get_one(RuleVersion, event.version_id))
    former = None
    if event.former_id is not None:
        former = book_of(session.get_one(RuleVersion, event.former_id))
    if former is None:
        changed = bool(book.tiers or _said(book) != _NOTHING_SAID)
    else:
        before = (former.tiers, former.tier_base, _said(former))
        changed = before != (book.tiers, book.tier_base, _said(book))
    if not changed:
        return
    programme = session.get_one(Programme, event.programme_id)
    total = session.execute(_COUNT, {"programme_id": programme.id}).scalar_one()
    if total:
        bulk.begin(
            session,
            kind=KIND,
            title=f"Tiers of '{programme.slug}' under its new rules",
            parameters={"programme_id": programme.id},
            total=total,
            actor=event.actor,
            now=event.at,
            organisation_id=programme.organisation_id,
            supersede=True,
        )


def _said(book: RuleBook) -> _Said:
    """What cards say of the rules besides tiers."""
    card = book.stamp_card
    return card.stamps if card else None, book.discounts


def handlers() -> dict[str, Handler]:
    """What the runner needs to do these jobs."""
    return {KIND: _piece}


def _piece(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
    programme = session.get_one(Programme, job.parameters["programme_id"])
    version = current(session, programme.id)
    if version is None:
        return Piece(cursor=job.cursor, done=0, finished=True)
    values = {"programme_id": programme.id, "cursor": job.cursor, "limit": limit}
    accounts = list(session.execute(_NEXT, values).scalars())
    done = settle_many(
        session, programme, book_of(version), accounts, now, TierCause.RULES, touch_all=True
    )
    return Piece(
        cursor=accounts[-1] if accounts else job.cursor,
        done=len(accounts),
        finished=len(accounts) < limit,
        counted={
            "moved_up": done.up,
            "moved_down": done.down,
            "reassigned": done.reassigned,
        },
    )
