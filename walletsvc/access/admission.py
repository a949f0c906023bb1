"""Who asks, and whether just this was asked before: one look for every call that writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlmodel import Session

from walletsvc.access import rules
from walletsvc.access.models import ApiKey
from walletsvc.access.service import COLUMNS, key_of
from walletsvc.core.ids import token_hash
from walletsvc.storage import idempotency
from walletsvc.storage.idempotency import Answer
from walletsvc.storage.statement import Statement

_ADMIT: Final = Statement(f"""
WITH found AS (
    SELECT {COLUMNS} FROM api_keys WHERE key_hash = :hash AND revoked_at IS NULL
), claimed AS (
    {
    idempotency.claiming(
        "SELECT public_id || CAST(:operation AS text), :key, :fingerprint, :now FROM found"
        " WHERE CAST(:scope AS text) = ANY (scopes)"
    )
}
)
SELECT found.*, EXISTS (SELECT FROM claimed) AS claimed FROM found
""")  # noqa: S608 - the parts are ours


@dataclass(frozen=True, slots=True)
class Once:
    """What a caller names by an Idempotency-Key: the operation and the print of the request."""

    operation: str
    key: str
    fingerprint: bytes

    def scope(self, key: ApiKey) -> str:
        """The scope within which no key means two things."""
        return f"{key.public_id}:{self.operation}"


class Admitted(NamedTuple):
    """Whose call it is, and what it was answered before; it may lack the scope that it needs."""

    key: ApiKey
    former: Answer | None = None


def admit(session: Session, secret: str, scope: str, once: Once, now: datetime) -> Admitted | None:
    """Find the API key and, if it has the scope, claim the Idempotency-Key in this transaction.

    Returns None for a secret that is not known or revoked. Raises IdempotencyMismatch.
    """
    if not rules.plausible_secret(secret):
        return None
    hash_ = token_hash(secret)
    values = {
        "hash": hash_,
        "operation": f":{once.operation}",
        "key": once.key,
        "fingerprint": once.fingerprint,
        "now": now,
        "scope": scope,
    }
    row = _ADMIT.first(session, values)
    if row is None:
        return None
    key = key_of(hash_, row)
    if row.claimed or scope not in key.scopes:
        return Admitted(key)
    former = idempotency.answered(session, once.scope(key), once.key, once.fingerprint)
    return Admitted(key, former)
