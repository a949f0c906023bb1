"""The system's side of a transaction, and what organisations owe each other because of it.

When one organisation takes what another issued, the issuer owes it the amount; when it gives
points of another's programme, it owes the issuer. Both sides of every pair are posted in the
same transaction, so each organisation's own entries sum to zero too.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from walletsvc.ledger.accounts import LockedAccount, between, system_account
from walletsvc.ledger.models import SystemCode
from walletsvc.ledger.posting import Leg


def counter_legs(
    session: Session,
    account: LockedAccount,
    amount: int,
    against: SystemCode,
    acceptor_id: int | None,
    now: datetime,
) -> list[Leg]:
    """The entries against a holder's `amount` (below zero when something is taken).

    `acceptor_id` is the organisation that takes or gives, the issuer itself when None.
    """
    issuer_id, unit_id = account.organisation_id, account.unit_id
    if acceptor_id is None or acceptor_id == issuer_id:
        counter = account.against_id
        if counter is None:
            counter = _system(session, issuer_id, unit_id, against, now)
        return [Leg(counter, unit_id, -amount)]
    # In one order, whoever deals with whom: any of these may be new to two tills at once. An
    # organisation's own come first: who opened an account has made them before it deals.
    own = _system(session, acceptor_id, unit_id, against, now)
    owing = {}
    for one, other in sorted([(issuer_id, acceptor_id), (acceptor_id, issuer_id)]):
        owing[one] = between(session, one, other, unit_id, now)
    return [
        Leg(owing[issuer_id], unit_id, -amount),
        Leg(owing[acceptor_id], unit_id, amount),
        Leg(own, unit_id, -amount),
    ]


def _system(
    session: Session, organisation_id: int, unit_id: int, code: SystemCode, now: datetime
) -> int:
    return system_account(
        session, organisation_id=organisation_id, unit_id=unit_id, code=code, now=now
    )
