"""How low the balances of many accounts may fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from walletsvc.core.errors import Refused
from walletsvc.storage.engine import Database

BATCH: Final = 1000  # accounts that are locked together: a purchase waits for one batch at most

_OWN: Final = """
kind = 'customer' AND organisation_id = :organisation_id AND unit_id = :unit_id
   AND merged_into_id IS NULL"""
_TOO_LOW: Final = text(f"""
SELECT count(*) AS number, min(balance) AS lowest FROM accounts
 WHERE {_OWN} AND balance < :min_balance
""")  # noqa: S608 - composed of constants
# Whether a balance allows it is asked under the lock.
_CHANGE: Final = text(f"""
WITH own AS (
    SELECT id, balance FROM accounts
     WHERE {_OWN} AND min_balance <> :min_balance AND id > :after
     ORDER BY id LIMIT :batch FOR NO KEY UPDATE
), changed AS (
    UPDATE accounts SET min_balance = :min_balance FROM own
     WHERE accounts.id = own.id AND own.balance >= :min_balance
    RETURNING accounts.id
)
SELECT max(own.id) AS last, (SELECT count(*) FROM changed) AS changed,
       count(*) FILTER (WHERE own.balance < :min_balance) AS too_low
  FROM own
""")  # noqa: S608 - composed of constants


@dataclass(frozen=True, slots=True)
class Owners:
    """The points accounts of one organisation in one unit."""

    organisation_id: int
    unit_id: int


def require_room(database: Database, owners: Owners, limit: int) -> None:
    """Raises Refused when a balance is lower than a debt of `limit` minor units allows."""
    values = {**_values(owners), "min_balance": -limit}
    with database.read_tx() as session:
        low = session.execute(_TOO_LOW, values).one()
    if low.number:
        raise Refused(
            f"Balances of {low.number} accounts are lower than that, the lowest is {low.lowest}:"
            " the limit cannot be smaller than what is owed."
        )


def limit_debt(database: Database, owners: Owners, limit: int) -> int:
    """Let these accounts owe `limit` minor units each, in batches; how many were changed.

    Accounts that owe more by now keep the limit they had, and Refused says how many: what was
    changed stays changed, and it may be asked again.
    """
    changed = too_low = after = 0
    while True:
        values = {**_values(owners), "min_balance": -limit, "after": after, "batch": BATCH}
        with database.write_tx() as session:
            row = session.execute(_CHANGE, values).one()
        if row.last is None:
            break
        changed, too_low, after = changed + row.changed, too_low + row.too_low, row.last
    if too_low:
        raise Refused(f"{too_low} accounts owe more than that by now and keep the limit they had.")
    return changed


def _values(owners: Owners) -> dict[str, int]:
    return {"organisation_id": owners.organisation_id, "unit_id": owners.unit_id}
