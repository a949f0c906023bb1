"""Points for many cards at once: all open cards of a programme, or those on a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.cards.rules import number_valid
from walletsvc.core.actor import Actor
from walletsvc.core.errors import FieldError, InputError, Refused
from walletsvc.core.money import decimal_text
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Handler, Piece
from walletsvc.ledger import checks
from walletsvc.ledger.many import Credited
from walletsvc.ledger.models import Unit
from walletsvc.ledger.service import credit_many
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.calendar import end_of_day
from walletsvc.programmes.models import Programme, ProgrammeKind

KIND: Final = "credit"
SOURCE: Final = "bulk-credit"
_MOST_ERRORS: Final = 20

# Accounts, not cards: cards that share an account share what is given to it, once.
_ALL: Final = text(
    "SELECT count(DISTINCT account_id), max(account_id) FROM cards"
    " WHERE programme_id = :programme_id AND closed_at IS NULL"
)
_BY_NUMBER: Final = text(
    "SELECT number, account_id FROM cards"
    " WHERE programme_id = :programme_id AND number = ANY(CAST(:numbers AS text[]))"
)
# Cards issued after the start have a later account than `last` and are not meant.
_NEXT: Final = text(
    "SELECT DISTINCT account_id FROM cards WHERE programme_id = :programme_id"
    " AND closed_at IS NULL AND account_id > :cursor AND account_id <= :last"
    " ORDER BY account_id LIMIT :limit"
)
_NEXT_ITEMS: Final = text(
    "WITH RECURSIVE taken AS ("
    "  DELETE FROM bulk_items WHERE job_id = :job_id AND item = ANY(ARRAY("
    "    SELECT item FROM bulk_items WHERE job_id = :job_id ORDER BY item LIMIT :limit"
    "  )) RETURNING item"
    "), heirs AS ("
    # A card that joined a group meanwhile is meant with the account that it has now.
    "  SELECT item, item AS account_id FROM taken UNION ALL"
    "  SELECT heirs.item, a.merged_into_id FROM heirs JOIN accounts a ON a.id = heirs.account_id"
    "   WHERE a.merged_into_id IS NOT NULL"
    ") SELECT max(h.account_id) FILTER (WHERE a.merged_into_id IS NULL) AS account_id,"
    " bool_or(EXISTS (SELECT FROM cards WHERE cards.account_id = h.account_id"
    "                    AND closed_at IS NULL))"
    " FROM heirs h JOIN accounts a ON a.id = h.account_id GROUP BY h.item ORDER BY h.item"
)


def begin(
    session: Session,
    *,
    programme: Programme,
    amount: int,
    reason: str,
    actor: Actor,
    now: datetime,
    numbers: Sequence[str] | None = None,
    expires_on: date | None = None,
    promotional: bool = False,
    branch_id: int | None = None,
    place: Callable[[int], str] = "cards.{}".format,
) -> BulkJob:
    """Begin to give `amount` minor units to every open card, or to the cards with these numbers.

    The points end with the day `expires_on` in the programme's time zone. Cards that are closed
    when their turn comes are left out and counted. Raises Refused (no points, a closed
    programme, no cards) and InputError, whose fields name numbers of a list by their `place`;
    nothing is begun then.
    """
    _require_points(programme)
    reason = check_text("reason", reason, 200)
    checks.check(amount, reason)
    expires_at = end_of_day(programme, expires_on, now) if expires_on else None
    accounts, total, last = _chosen(session, programme, numbers, place)
    return bulk.begin(
        session,
        kind=KIND,
        title=f"Credit of {_points(session, programme, amount)} to cards of '{programme.slug}'",
        parameters={
            "programme_id": programme.id,
            "last_account_id": last,
            "by_number": numbers is not None,
            "amount": amount,
            "reason": reason,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "promotional": promotional,
            "branch_id": branch_id,
        },
        total=total,
        actor=actor,
        now=now,
        organisation_id=programme.organisation_id,
        items=accounts,
    )


def _require_points(programme: Programme) -> None:
    if programme.kind is not ProgrammeKind.POINTS:
        raise Refused(f"The programme '{programme.slug}' issues certificates, not points.")
    if programme.closed_at is not None:
        raise Refused(f"The programme '{programme.slug}' is closed.")


def handlers() -> dict[str, Handler]:
    """What the runner needs to do these jobs."""
    return {KIND: _piece}


def _piece(session: Session, job: BulkJob, limit: int, now: datetime) -> Piece:
    given = job.parameters
    if given["by_number"]:
        rows = session.execute(_NEXT_ITEMS, {"job_id": job.id, "limit": limit}).all()
        taken = [account_id for account_id, _ in rows]
        open_ = [account_id for account_id, is_open in rows if is_open]
    else:
        values = {
            "programme_id": given["programme_id"],
            "cursor": job.cursor,
            "last": given["last_account_id"],
            "limit": limit,
        }
        taken = open_ = list(session.execute(_NEXT, values).scalars())
    credited = [_credit(session, job, accounts, now) for accounts in _rounds(open_)]
    return Piece(
        cursor=taken[-1] if taken else job.cursor,
        done=len(taken),
        finished=len(taken) < limit,
        counted={
            "credited": sum(part.accounts for part in credited),
            "skipped_closed": len(taken) - len(open_) + sum(part.closed for part in credited),
            "skipped_full": sum(part.full for part in credited),
        },
    )


def _rounds(accounts: Sequence[int]) -> list[list[int]]:
    """The accounts once, then those that are due twice or more again.

    Two accounts of a list are one by now when a card joined a group: each was promised its part.
    """
    counts = Counter(accounts)
    most = max(counts.values(), default=0)
    return [[account for account, n in counts.items() if n > round_] for round_ in range(most)]


def _credit(session: Session, job: BulkJob, accounts: list[int], now: datetime) -> Credited:
    given = job.parameters
    ends = given["expires_at"]
    return credit_many(
        session,
        accounts,
        given["amount"],
        source=SOURCE,
        actor=Actor.parse(job.actor),
        reason=given["reason"],
        now=now,
        branch_id=given["branch_id"],
        expires_at=datetime.fromisoformat(ends) if ends else None,
        promotional=given["promotional"],
    )


def _chosen(
    session: Session,
    programme: Programme,
    numbers: Sequence[str] | None,
    place: Callable[[int], str],
) -> tuple[list[int], int, int]:
    """The accounts on the list, how many accounts are meant, and up to which when all are."""
    if numbers is not None:
        accounts = _accounts(session, programme, numbers, place)
        return accounts, len(set(accounts)), 0
    total, last = session.execute(_ALL, {"programme_id": programme.id}).one()
    if not total:
        raise Refused(f"The programme '{programme.slug}' has no open cards to credit.")
    return [], total, last


def _accounts(
    session: Session, programme: Programme, numbers: Sequence[str], place: Callable[[int], str]
) -> list[int]:
    """The accounts of these cards; raises InputError naming every number that is none."""
    tidy = [number.replace(" ", "") for number in numbers]
    possible = [number for number in tidy if number.isascii() and number.isdigit()]
    rows = session.execute(_BY_NUMBER, {"programme_id": programme.id, "numbers": possible})
    known = {row.number: row.account_id for row in rows}
    seen: dict[str, int] = {}
    wrong: list[FieldError] = []
    for index, number in enumerate(tidy):
        if number in seen:
            message = f"is the same card as {place(seen[number])}"
            wrong.append(FieldError(place(index), message, "duplicate"))
        elif number not in known:
            is_number = number_valid(number)
            message = "is no card of this programme" if is_number else "is not a card number"
            code = "unknown" if is_number else "invalid_format"
            wrong.append(FieldError(place(index), message, code))
        seen.setdefault(number, index)
    if wrong:
        first = "; ".join(f"{error.field} {error.message}" for error in wrong[:3])
        more = f"; and {len(wrong) - 3:,} more" if len(wrong) > 3 else ""
        raise InputError(f"Nothing was begun: {first}{more}.", tuple(wrong[:_MOST_ERRORS]))
    return list(known.values())


def _points(session: Session, programme: Programme, amount: int) -> str:
    return decimal_text(amount, session.get_one(Unit, programme.unit_id).scale)
