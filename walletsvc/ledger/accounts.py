"""Units and accounts: making them, and locking the ones that are about to change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.errors import Conflict, FieldError, InputError, NotFound
from walletsvc.core.ids import public_id
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.models import Account, AccountKind, SystemCode, Unit, UnitKind
from walletsvc.ledger.rules import Standing
from walletsvc.storage.rows import Inserted
from walletsvc.storage.statement import Statement

# Something of the account `a` has to happen before anything else.
DUE_SQL = """
       (a.kind = 'customer' AND EXISTS (
           SELECT FROM lots l WHERE l.account_id = a.id AND l.remaining > 0
              AND l.matured_id IS NULL AND l.available_from <= :now)
       OR a.held > 0 AND EXISTS (
           SELECT FROM holds h WHERE h.account_id = a.id AND h.state = 'active'
              AND h.expires_at <= :now))"""

_AGAINST_SQL = """(SELECT s.id FROM accounts s
         WHERE s.kind = 'system' AND s.organisation_id = a.organisation_id
           AND s.unit_id = a.unit_id AND s.code = CAST(:against AS text)
           AND coalesce(s.counterparty_id, 0) = 0)"""

# NO KEY UPDATE excludes every other change of the row and lets foreign key checks pass.
# The rows are sorted before they are locked, so whoever needs several waits in one order.
# With the number of ids, or without a counterpart, in sight the planner would plan anew each time,
# which takes longer than the look: the one is hidden, for the other there is a second statement.
# After waiting for a lock the row is as it is then, while `due` is as it was before: it may say
# so in vain, and `settling` looks again; that something became due meanwhile cannot be.
LOCK_SQL = f"""
SELECT a.id, a.organisation_id, a.unit_id, a.kind, a.balance, a.held, a.min_balance,
       a.closed_at IS NOT NULL AS closed,
       {_AGAINST_SQL} AS against_id,
       {DUE_SQL} AS due
  FROM accounts a
 WHERE a.id = ANY(ARRAY(SELECT unnest(CAST(:ids AS bigint[]))))
   AND a.kind <> 'system' AND a.merged_into_id IS NULL
 ORDER BY a.id
   FOR NO KEY UPDATE OF a
"""  # noqa: S608 - composed of constants
_LOCK = Statement(LOCK_SQL)
_LOCK_ALONE = Statement(LOCK_SQL.replace(_AGAINST_SQL, "CAST(NULL AS bigint)"))
# An account that was merged is passed over, not locked: its heir may have the lower id, and
# whoever holds the one and wants the other would break the order.
_HEIR = text("SELECT merged_into_id FROM accounts WHERE id = :id AND kind <> 'system'")

_ACCOUNTS: Final = Inserted(Account)
_SYSTEM: Final = Statement(
    "SELECT code, id FROM accounts WHERE kind = 'system' AND organisation_id = :organisation"
    " AND unit_id = :unit AND counterparty_id IS NULL"
)

# Those that every organisation has; accounts between two are made when they first deal.
_OWN_CODES = tuple(code for code in SystemCode if code is not SystemCode.INTER_ORGANISATION)


@dataclass(frozen=True, slots=True)
class LockedAccount:
    """An account as it stands while this transaction holds its lock."""

    id: int
    organisation_id: int
    unit_id: int
    kind: AccountKind
    standing: Standing
    against_id: int | None = None
    due: bool = False

    @property
    def has_lots(self) -> bool:
        """Points have dates and origins; certificate money has not."""
        return self.kind is AccountKind.CUSTOMER


def lock(
    session: Session,
    account_ids: Iterable[int],
    *,
    now: datetime,
    against: SystemCode | None = None,
) -> dict[int, LockedAccount]:
    """Lock holders' accounts until this transaction ends, whatever order they are named in.

    A transaction that will post to several accounts calls this once with all of them, first.
    For a single account that was merged into another, that other one is locked and returned
    under the id asked for; of several that would break the order, so they are closed.
    `against` also looks up each account's counterpart; `due` says that lots have to mature or
    holds to end before anything else (`settling.lock_settled` does both). Raises NotFound for
    an account that does not exist (system accounts count as such) and Conflict for a closed one.
    """
    return Locking(session, account_ids, now=now, against=against).done()


class Locking:
    """The locks of `lock`, sent with the next statement: one that reads what they keep still goes
    with them. What it says counts only if `done` returns each account under its own id."""

    def __init__(
        self,
        session: Session,
        account_ids: Iterable[int],
        *,
        now: datetime,
        against: SystemCode | None = None,
    ) -> None:
        self._session: Final = session
        self._wanted: Final = sorted(set(account_ids))
        self._now: Final = now
        self._against: Final = against
        values: dict[str, Any] = {"ids": self._wanted, "now": now}
        if against is None:
            self._asked = _LOCK_ALONE.ask(session, values)
        else:
            self._asked = _LOCK.ask(session, values | {"against": against.value})

    def done(self) -> dict[int, LockedAccount]:
        """Wait for the locks; returns and raises what `lock` does."""
        rows, wanted = self._asked.all(), self._wanted
        if len(rows) != len(wanted):
            found = {row.id for row in rows}
            heir = _lock_heir(self._session, wanted, found, self._now, self._against)
            return {wanted[0]: heir}
        locked: dict[int, LockedAccount] = {}
        for asked, row in zip(wanted, rows, strict=True):
            if row.closed:
                raise Conflict("The account is closed.")
            locked[asked] = LockedAccount(
                row.id,
                row.organisation_id,
                row.unit_id,
                AccountKind(row.kind),
                Standing(row.balance, row.held, row.min_balance),
                row.against_id,
                row.due,
            )
        return locked


def _lock_heir(
    session: Session,
    wanted: list[int],
    found: set[int],
    now: datetime,
    against: SystemCode | None,
) -> LockedAccount:
    """Lock who has what the account that was asked for had; raises what `_heir` does, and Conflict
    when the two were parted while this waited."""
    heir = _heir(session, wanted, found)
    locked = lock(session, [heir], now=now, against=against)[heir]
    if session.execute(_HEIR, {"id": wanted[0]}).scalar_one_or_none() != heir:
        raise Conflict("The account changed at this moment; please try again.")
    return locked


def _heir(session: Session, wanted: list[int], found: set[int]) -> int:
    """Who has what the one account that was asked for had; raises NotFound, or Conflict when
    several were asked for."""
    for id_ in wanted:
        if id_ not in found:
            heir: int | None = session.execute(_HEIR, {"id": id_}).scalar_one_or_none()
            if heir is None:
                raise NotFound("There is no such account.")
            if len(wanted) == 1:
                return heir
    raise Conflict("The account is closed.")


def ensure_unit(session: Session, *, code: str, kind: UnitKind, scale: int) -> Unit:
    """The unit of that code, made when it is new.

    `scale` is the number of decimal places, 0 or 2. Raises InputError for another scale and
    Conflict when the unit exists with another kind or scale: what is counted cannot change.
    """
    if scale not in (0, 2):
        raise InputError("A unit has 0 or 2 decimal places.", (FieldError("scale", "0 or 2"),))
    session.execute(insert(Unit).values(code=code, kind=kind, scale=scale).on_conflict_do_nothing())
    unit = session.exec(select(Unit).where(Unit.code == code)).one()
    if (unit.kind, unit.scale) != (kind, scale):
        raise Conflict(f"The unit {code} exists with another kind or number of decimal places.")
    return unit


def open_account(
    session: Session,
    *,
    organisation_id: int,
    unit_id: int,
    kind: AccountKind,
    now: datetime,
    min_balance: int = 0,
) -> Account:
    """A new account with a balance of nothing.

    `min_balance` is 0, or below it how far the holder may go into debt, in minor units.
    The organisation's system accounts for the unit are made with its first account, so that
    a posting, which holds locks, need not wait for another to make them.
    """
    return open_accounts(
        session,
        1,
        organisation_id=organisation_id,
        unit_id=unit_id,
        kind=kind,
        now=now,
        min_balance=min_balance,
    )[0]


def open_accounts(
    session: Session,
    number: int,
    *,
    organisation_id: int,
    unit_id: int,
    kind: AccountKind,
    now: datetime,
    min_balance: int = 0,
) -> list[Account]:
    """So many new accounts, all alike."""
    if kind is AccountKind.SYSTEM:
        raise ValueError("system accounts are made by system_account()")
    if not -MAX_AMOUNT <= min_balance <= 0:
        problem = FieldError("min_balance", f"must be between {-MAX_AMOUNT} and 0")
        raise InputError("The minimum balance is not valid.", (problem,))
    system_accounts(session, organisation_id, unit_id, now)
    values = {
        "organisation_id": organisation_id,
        "unit_id": unit_id,
        "kind": kind,
        "balance": 0,
        "min_balance": min_balance,
        "created_at": now,
    }
    return _ACCOUNTS.all(session, [values] * number)


_HOLD_STILL = text(
    "SELECT id FROM accounts WHERE id = ANY(CAST(:ids AS bigint[])) AND kind <> 'system'"
    " ORDER BY id FOR NO KEY UPDATE"
)


def hold_still(session: Session, account_ids: Iterable[int]) -> None:
    """Lock many accounts in their order, for work that locks parts of them again later."""
    session.execute(_HOLD_STILL, {"ids": sorted(set(account_ids))})


def system_accounts(
    session: Session, organisation_id: int, unit_id: int, now: datetime
) -> dict[SystemCode, int]:
    """The ids of an organisation's system accounts for a unit, made when they are new.

    Any number of transactions may ask at once: all missing ones are inserted in one order,
    the second asker waits for the first to commit and finds its rows.
    """
    ids = _system_ids(session, organisation_id, unit_id)
    missing = [code for code in _OWN_CODES if code not in ids]
    if missing:
        rows = [
            {
                "public_id": public_id(),
                "organisation_id": organisation_id,
                "unit_id": unit_id,
                "kind": AccountKind.SYSTEM,
                "code": code,
                "held": 0,
                "min_balance": 0,
                "created_at": now,
            }
            for code in missing
        ]
        session.execute(insert(Account).values(rows).on_conflict_do_nothing())
        ids = _system_ids(session, organisation_id, unit_id)
    return ids


def between(
    session: Session, organisation_id: int, counterparty_id: int, unit_id: int, now: datetime
) -> int:
    """The id of the account of what one organisation owes another, made when it is new."""
    wanted = (
        col(Account.kind) == AccountKind.SYSTEM,
        col(Account.organisation_id) == organisation_id,
        col(Account.unit_id) == unit_id,
        col(Account.counterparty_id) == counterparty_id,
    )
    found: int | None = session.execute(select(col(Account.id)).where(*wanted)).scalar()
    if found is None:
        session.execute(
            insert(Account)
            .values(
                public_id=public_id(),
                organisation_id=organisation_id,
                unit_id=unit_id,
                kind=AccountKind.SYSTEM,
                code=SystemCode.INTER_ORGANISATION,
                counterparty_id=counterparty_id,
                held=0,
                min_balance=0,
                created_at=now,
            )
            .on_conflict_do_nothing()
        )
        return int(session.execute(select(col(Account.id)).where(*wanted)).scalar_one())
    return found


def system_account(
    session: Session, *, organisation_id: int, unit_id: int, code: SystemCode, now: datetime
) -> int:
    """The id of one system account, made when it is new; safe to race."""
    return system_accounts(session, organisation_id, unit_id, now)[code]


def _system_ids(session: Session, organisation_id: int, unit_id: int) -> dict[SystemCode, int]:
    rows = _SYSTEM.all(session, {"organisation": organisation_id, "unit": unit_id})
    return {SystemCode(row.code): row.id for row in rows}
