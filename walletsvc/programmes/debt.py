"""How far the holders of a programme's cards may go into debt."""

from __future__ import annotations

from sqlmodel import select

from walletsvc.core.errors import FieldError, InputError, NotFound, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.debt import Owners, limit_debt, require_room
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage.engine import Database


def set_debt_limit(database: Database, slug: str, limit: int) -> int:
    """Let each card of a points programme owe `limit` minor units; how many accounts changed.

    Cards issued from now on have it from the start; the accounts there are get it in batches of
    their own transactions. Raises InputError naming `limit`, NotFound, and Refused (a programme
    of certificates; somebody owes more already).
    """
    if not 0 <= limit <= MAX_AMOUNT:
        message = f"must be between 0 and {MAX_AMOUNT}"
        raise InputError(f"limit: {message}.", (FieldError("limit", message, "out_of_range"),))
    with database.read_tx() as session:
        programme = session.exec(select(Programme).where(Programme.slug == slug)).first()
        if programme is None:
            raise NotFound(f"There is no programme '{slug}'.")
        if programme.kind is not ProgrammeKind.POINTS:
            raise Refused(f"The programme '{slug}' counts money on certificates, which never owe.")
        id_, owners = programme.id, Owners(programme.organisation_id, programme.unit_id)
    require_room(database, owners, limit)
    with database.write_tx() as session:
        session.get_one(Programme, id_, with_for_update=True).debt_limit = limit
    return limit_debt(database, owners, limit)
