"""What time has brought, for many accounts at once: a few statements, whatever their number.

Each account ends up exactly as `settling` and writing off its ended lots one by one would have
left it, each with transactions of its own. What is due is read again under the accounts' locks:
a list of accounts that is old, or somebody else's too, does no harm.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel import Session

from walletsvc.core.actor import SYSTEM
from walletsvc.core.ids import public_id
from walletsvc.jobs.changes import Lane, touch
from walletsvc.ledger.accounts import system_accounts
from walletsvc.ledger.models import SystemCode
from walletsvc.storage.engine import Database

BATCH: Final = 1000  # accounts that are locked together: a purchase waits for one batch at most


class Due(enum.Enum):
    """What makes an account due."""

    HOLDS = enum.auto()  # a hold that ran out
    MATURITIES = enum.auto()  # points that may be spent from now on
    ENDS = enum.auto()  # points past their end, and not held


# Written so that each is answered by the partial index made for it.
_WHO: Final = {
    Due.HOLDS: "SELECT account_id FROM holds WHERE state = 'active' AND expires_at <= :now",
    Due.MATURITIES: "SELECT account_id FROM lots"
    " WHERE matured_id IS NULL AND remaining > 0 AND available_from <= :now",
    Due.ENDS: "SELECT account_id FROM lots"
    " WHERE remaining > 0 AND expires_at IS NOT NULL AND expires_at <= :now AND remaining > held",
}

# As in `many`: everything is looked up by its key, whatever the planner thinks of the tables. And a
# plan made once for a list of any length takes it for a list of ten, and compares a thousand
# accounts with a thousand lots one by one.
_PLAN: Final = text("""
SELECT set_config('enable_seqscan', 'off', true),
       set_config('plan_cache_mode', 'force_custom_plan', true)
""")
_LOCK: Final = text("""
SELECT id, organisation_id, unit_id FROM accounts
 WHERE id = ANY(CAST(:ids AS bigint[])) AND kind <> 'system'
 ORDER BY id
   FOR NO KEY UPDATE
""")

# Several holds of an account, and several parts of one lot, may end at once.
_RELEASE: Final = text("""
WITH ended AS (
    UPDATE holds SET state = 'expired', closed_at = :now
     WHERE account_id = ANY(CAST(:ids AS bigint[])) AND state = 'active' AND expires_at <= :now
    RETURNING id, account_id, amount
), freed AS (
    SELECT hl.lot_id, sum(hl.amount)::bigint AS amount
      FROM hold_lots hl JOIN ended ON ended.id = hl.hold_id GROUP BY hl.lot_id
), lots_freed AS (
    UPDATE lots SET held = held - freed.amount FROM freed WHERE lots.id = freed.lot_id
), freed_of AS (
    SELECT account_id, sum(amount)::bigint AS amount FROM ended GROUP BY account_id
), accounts_freed AS (
    UPDATE accounts SET held = held - freed_of.amount
      FROM freed_of WHERE accounts.id = freed_of.account_id
)
SELECT count(*) FROM ended
""")

# Both say which lots move by how much (`part`), and by how much that counts for the account.
# The indexes by time are for finding the accounts: here `coalesce` keeps the planner off them,
# since it would read all that is due, and all that was a batch ago, once more for every batch.
_MATURING: Final = """
lot AS MATERIALIZED (
    SELECT l.id, l.account_id, l.remaining,
           sum(l.remaining) OVER (PARTITION BY l.account_id
                                 ORDER BY l.available_from, l.expires_at, l.id)
               - l.remaining AS before,
           greatest(-a.balance, 0) AS debt
      FROM lots l JOIN accounts a ON a.id = l.account_id
     WHERE l.account_id = ANY(CAST(:ids AS bigint[]))
       AND coalesce(l.matured_id, 0) = 0 AND l.remaining > 0 AND l.available_from <= :now
), changed AS (
    SELECT id, account_id, remaining AS counts,
           -least(remaining, greatest(debt - before, 0))::bigint AS part
      FROM lot
)"""
_ENDING: Final = """
changed AS MATERIALIZED (
    SELECT id, account_id, held - remaining AS counts, held - remaining AS part
      FROM lots
     WHERE account_id = ANY(CAST(:ids AS bigint[])) AND matured_id IS NOT NULL
       AND remaining > 0 AND remaining > held AND coalesce(expires_at, 'infinity') <= :now
)"""
_POST: Final = """
WITH {changed}, numbered AS (
    SELECT account_id, sum(counts)::bigint AS amount,
           row_number() OVER (ORDER BY account_id) AS number
      FROM changed GROUP BY account_id
), moved AS MATERIALIZED (
    SELECT n.account_id, n.amount, a.organisation_id, a.unit_id, a.balance + n.amount AS balance,
           (CAST(:public_ids AS text[]))[n.number] AS public_id, against.system_id,
           nextval('ledger_transactions_id_seq') AS transaction_id
      FROM numbered n
      JOIN accounts a ON a.id = n.account_id
      JOIN unnest(
        CAST(:organisations AS bigint[]), CAST(:units AS bigint[]), CAST(:systems AS bigint[])
      ) AS against (organisation_id, unit_id, system_id)
        ON against.organisation_id = a.organisation_id AND against.unit_id = a.unit_id
), posted AS (
    INSERT INTO ledger_transactions (id, public_id, organisation_id, type, actor, reason, at)
    SELECT transaction_id, public_id, organisation_id, '{type}', :actor, '', :now
      FROM moved ORDER BY account_id
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT transaction_id, account_id, unit_id, amount, balance FROM moved
    UNION ALL
    SELECT transaction_id, system_id, unit_id, -amount, NULL FROM moved
), lots_changed AS (
    UPDATE lots SET remaining = lots.remaining + changed.part{matured}
      FROM changed JOIN moved USING (account_id) WHERE lots.id = changed.id
), movements AS (
    INSERT INTO lot_movements (transaction_id, lot_id, amount)
    SELECT moved.transaction_id, changed.id, changed.part
      FROM changed JOIN moved USING (account_id) WHERE changed.part <> 0
)
UPDATE accounts SET balance = moved.balance
  FROM moved WHERE accounts.id = moved.account_id
RETURNING accounts.id, moved.amount
"""
_MATURE: Final = text(
    _POST.format(changed=_MATURING, type="maturity", matured=", matured_id = moved.transaction_id")
)
_EXPIRE: Final = text(_POST.format(changed=_ENDING, type="expiry", matured=""))


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done: holds released, and on how many accounts points matured and ended.

    `looked_at` is how many accounts were locked to find out.
    """

    looked_at: int = 0
    released: int = 0
    matured: int = 0
    expired: int = 0

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            self.looked_at + other.looked_at,
            self.released + other.released,
            self.matured + other.matured,
            self.expired + other.expired,
        )


def accounts(session: Session, now: datetime, what: Collection[Due] = tuple(Due)) -> list[int]:
    """The accounts for which something is due, in ascending order."""
    who = " UNION ".join(_WHO[each] for each in Due if each in what)
    return list(session.execute(text(f"{who} ORDER BY 1"), {"now": now}).scalars())


def settle(
    session: Session, account_ids: Sequence[int], now: datetime, lane: Lane = Lane.BULK
) -> Settled:
    """Bring these accounts up to `now`, in the caller's transaction.

    Holds that ran out are released, lots that are due join the balance (a debt is repaid
    first), and of lots past their end what is not held is written off. Accounts that are closed
    are no exception: what is owed does not depend on whether it can be spent.
    """
    session.execute(_PLAN)
    locked = session.execute(_LOCK, {"ids": list(account_ids)}).all()
    parameters = {"ids": [row.id for row in locked], "now": now}
    released: int = session.execute(_RELEASE, parameters).scalar_one()
    pairs = sorted({(row.organisation_id, row.unit_id) for row in locked})
    against = {pair: system_accounts(session, *pair, now) for pair in pairs}
    changed: list[Sequence[Row[Any]]] = []
    for post, code in ((_MATURE, SystemCode.PENDING), (_EXPIRE, SystemCode.BREAKAGE)):
        more = {
            "public_ids": [public_id() for _ in locked],
            "organisations": [organisation_id for organisation_id, _ in pairs],
            "units": [unit_id for _, unit_id in pairs],
            "systems": [against[pair][code] for pair in pairs],
            "actor": str(SYSTEM),
        }
        rows = session.execute(post, parameters | more).all()
        touch(session, "account", sorted(row.id for row in rows), at=now, lane=lane)
        changed.append(rows)
    return Settled(len(locked), released, *map(len, changed))


def settle_all(
    database: Database,
    now: datetime,
    what: Collection[Due] = tuple(Due),
    *,
    batch: int = BATCH,
    tell: Callable[[int, int], None] | None = None,
) -> Settled:
    """Bring every account up to `now` that is due, in transactions of `batch` accounts.

    Stopped anywhere it has done what it did; run again it goes on with the rest. Any number may
    run at once. `tell` hears after each transaction how many accounts of how many are done.
    """
    with database.read_tx() as session:
        found = accounts(session, now, what)
    done = Settled()
    for start in range(0, len(found), batch):
        with database.write_tx() as session:
            done += settle(session, found[start : start + batch], now)
        if tell is not None:
            tell(min(start + batch, len(found)), len(found))
    return done
