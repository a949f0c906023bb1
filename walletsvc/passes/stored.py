"""A pass as it stands, for whoever serves it: what was published and what it should say now.

Serving a pass is the hottest request there is, so all of this is one statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import col

from walletsvc.passes.content import Rendered, said
from walletsvc.passes.facts import facts
from walletsvc.passes.models import Pass, PassType, Wallet
from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database
from walletsvc.storage.reader import OneRow


@dataclass(frozen=True, slots=True)
class Stored:
    """What was last published of a pass, and in `said` what it says now (None: its template
    is not published). `rolling`: the card, and which of its rolling codes stands there."""

    id: int
    pass_type_id: int
    wallet: Wallet
    serial: str
    auth_token: str = field(repr=False)
    revision: int
    digest: bytes | None
    last_modified: datetime | None
    said: Rendered | None
    rolling: tuple[int, int] | None = None


def by_serial(database: Database, *, wallet: Wallet, pass_type: str, serial: str) -> Stored | None:
    """The pass with this serial number of a pass type; None if there is none."""
    values = {"wallet": wallet.value, "pass_type": pass_type, "serial": serial}
    return _read(database, _BY_SERIAL, values)


def by_id(database: Database, pass_id: int) -> Stored | None:
    """The pass with this internal id; None if there is none."""
    return _read(database, _BY_ID, {"id": pass_id})


def _read(database: Database, statement: OneRow, values: Mapping[str, str | int]) -> Stored | None:
    row = database.reader.one(statement, values)
    if row is None:
        return None
    if row.code is not None:
        row = row._replace(code=keyring().decrypt(row.code))
    rendered = None
    if row.version_id is not None:
        with database.lazy_read() as session:
            rendered = said(row, session)
    return Stored(
        id=row.pass_id,
        pass_type_id=row.pass_type_id,
        wallet=Wallet(row.wallet),
        serial=row.serial,
        auth_token=keyring().decrypt(row.auth_token),
        revision=row.revision,
        digest=row.digest,
        last_modified=row.last_modified,
        said=rendered,
        rolling=None if row.rolling_id is None else (row.card_id, row.rolling_id),
    )


_STORED: Final = facts(
    col(Pass.pass_type_id),
    col(Pass.card_id),
    col(Pass.serial),
    col(Pass.auth_token),
    col(Pass.revision),
    col(Pass.digest),
    col(Pass.last_modified),
)
_BY_ID: Final = OneRow(_STORED.where(col(Pass.id) == bindparam("id")))
_BY_SERIAL: Final = OneRow(
    _STORED.where(
        col(PassType.identifier) == bindparam("pass_type"),
        col(Pass.serial) == bindparam("serial"),
        col(Pass.wallet) == bindparam("wallet"),
    )
)
