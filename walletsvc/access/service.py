"""API keys: made, found, revoked. The secret itself is never stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlmodel import Session, col, select

from walletsvc.access import rules
from walletsvc.access.models import ApiKey
from walletsvc.core.errors import FieldError, InputError, NotFound
from walletsvc.core.ids import token_hash
from walletsvc.merchants.models import Branch
from walletsvc.merchants.rules import check_text
from walletsvc.storage.statement import Statement


def create_key(
    session: Session,
    *,
    organisation_id: int,
    name: str,
    scopes: Sequence[str],
    branch_id: int | None = None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is seen this once only.

    Raises InputError for an unknown scope, an empty name or a branch of somebody else.
    """
    if branch_id is not None:
        branch = session.get(Branch, branch_id)
        if branch is None or branch.organisation_id != organisation_id:
            raise InputError(
                "The branch does not belong to the key's organisation.",
                (FieldError("branch", "belongs to another organisation", "not_allowed"),),
            )
    secret = rules.new_secret()
    key = ApiKey(
        organisation_id=organisation_id,
        branch_id=branch_id,
        name=check_text("name", name, 80),
        key_hash=token_hash(secret),
        scopes=rules.check_scopes(scopes),
        created_at=now,
    )
    session.add(key)
    session.flush()
    return key, secret


COLUMNS: Final = "id, public_id, organisation_id, branch_id, name, scopes, created_at"
_FIND: Final = Statement(
    f"SELECT {COLUMNS} FROM api_keys WHERE key_hash = :hash AND revoked_at IS NULL"  # noqa: S608
)


def find_key(session: Session, secret: str) -> ApiKey | None:
    """The key with this secret, unless it is revoked; the object is not the session's.

    The look-up is by SHA-256 of 192 random bits, so its time tells nothing about a secret.
    """
    if not rules.plausible_secret(secret):
        return None
    hash_ = token_hash(secret)
    row = _FIND.first(session, {"hash": hash_})
    return None if row is None else key_of(hash_, row)


def key_of(hash_: bytes, row: Any) -> ApiKey:
    """The key that a row of `COLUMNS` tells of."""
    return _known(hash_, *row[:5], tuple(row.scopes), row.created_at)


@lru_cache(maxsize=256)
def _known(
    hash_: bytes,
    id_: int,
    public_id: str,
    organisation_id: int,
    branch_id: int | None,
    name: str,
    scopes: tuple[str, ...],
    created_at: datetime,
) -> ApiKey:
    """A key with just these values; one for all that read the same, for every call begins here."""
    return ApiKey(
        id=id_,
        public_id=public_id,
        organisation_id=organisation_id,
        branch_id=branch_id,
        name=name,
        key_hash=hash_,
        scopes=list(scopes),
        created_at=created_at,
    )


def revoke_key(session: Session, public_id: str, *, now: datetime) -> ApiKey:
    """Make a key useless from now on; revoking again changes nothing. Raises NotFound."""
    key = session.exec(
        select(ApiKey).where(ApiKey.public_id == public_id).with_for_update()
    ).first()
    if key is None:
        raise NotFound(f"There is no API key {public_id}.")
    if key.revoked_at is None:
        key.revoked_at = now
        session.flush()
    return key


def list_keys(session: Session, *, organisation_id: int | None = None) -> list[ApiKey]:
    """All keys, or those of one organisation, oldest first, revoked ones among them."""
    query = select(ApiKey).order_by(col(ApiKey.id))
    if organisation_id is not None:
        query = query.where(ApiKey.organisation_id == organisation_id)
    return list(session.exec(query))
