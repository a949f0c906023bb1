"""One answer per Idempotency-Key: the first committed one.

The row goes in first. A second request with the same key waits on the unique index until
the first has finished: committed, it gets that answer; rolled back, it does the work itself.

Answers hold links and certificate codes, so they are encrypted like those themselves; before that
they are compressed, since a row of more than 2 KB takes the server three more.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import LargeBinary
from sqlmodel import Field, Session, SQLModel, col, delete, select

from walletsvc.core.errors import IdempotencyMismatch
from walletsvc.storage.columns import keyring, moment
from walletsvc.storage.statement import Statement

# No answer begins with these bytes; those stored by earlier versions are as they were answered, or
# encrypted as they were.
_ENCRYPTED = b"\x01"
_COMPRESSED = b"\x02"


class IdempotencyKey(SQLModel, table=True):
    """What a key meant and what was answered; kept 90 days."""

    __tablename__ = "idempotency_keys"

    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    status: int | None = Field(default=None)
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: datetime = moment(index=True)


def claiming(rows: str) -> str:
    """The SQL that claims a key, unless it is claimed: scope, key, fingerprint and moment."""
    return (
        "INSERT INTO idempotency_keys (scope, key, fingerprint, created_at)"
        f" {rows} ON CONFLICT DO NOTHING RETURNING key"
    )


_CLAIM: Final = Statement(claiming("VALUES (:scope, :key, :fingerprint, :now)"))
_FINISH: Final = Statement(
    "UPDATE idempotency_keys SET status = :status, body = :body WHERE scope = :scope AND key = :key"
)


@dataclass(frozen=True)
class Answer:
    """A stored answer: HTTP status and the exact body."""

    status: int
    body: bytes


def fingerprint(*parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts of a request."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def begin(session: Session, scope: str, key: str, print_: bytes, now: datetime) -> Answer | None:
    """Claim a key in this transaction, or return the answer it already has.

    Raises IdempotencyMismatch when the key was used with another request.
    """
    values = {"scope": scope, "key": key, "fingerprint": print_, "now": now}
    if _CLAIM.first(session, values):
        return None
    return answered(session, scope, key, print_)


def answered(session: Session, scope: str, key: str, print_: bytes) -> Answer:
    """The answer that a claimed key has. Raises IdempotencyMismatch."""
    row = session.exec(
        select(IdempotencyKey).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)
    ).one()
    if row.fingerprint != print_:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used before with a different request; use a new key."
        )
    if row.status is None or row.body is None:
        raise AssertionError("an idempotency key was committed without its answer")
    return Answer(row.status, _opened(row.body))


def finish(session: Session, scope: str, key: str, answer: Answer) -> None:
    """Store the answer; it becomes visible with the work's own commit."""
    values = {"scope": scope, "key": key, "status": answer.status, "body": _sealed(answer.body)}
    _FINISH.ask(session, values)


def _sealed(body: bytes) -> bytes:
    return _COMPRESSED + keyring().encrypt_bytes(zlib.compress(body, 1))


def _opened(stored: bytes) -> bytes:
    if stored.startswith(_COMPRESSED):
        return zlib.decompress(keyring().decrypt_bytes(stored.removeprefix(_COMPRESSED)))
    if stored.startswith(_ENCRYPTED):
        return keyring().decrypt(stored.removeprefix(_ENCRYPTED).decode()).encode()
    return stored


def forget_before(session: Session, limit: datetime) -> int:
    """Delete keys older than `limit`; returns how many."""
    result = session.execute(delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < limit))
    return int(getattr(result, "rowcount", 0))
