"""Who takes what: one organisation what another issued, a branch anything at all."""

from __future__ import annotations

from sqlmodel import Session

from walletsvc.core.errors import NotAccepted
from walletsvc.merchants.models import Acceptance, Branch


def require_accepted(session: Session, *, issuer_id: int, acceptor_id: int, points: bool) -> None:
    """Raises NotAccepted unless the acceptor takes the issuer's points (or certificates).

    An organisation always takes its own.
    """
    if issuer_id == acceptor_id:
        return
    row = session.get(Acceptance, (issuer_id, acceptor_id), populate_existing=True)
    if row is None or not (row.points if points else row.certificates):
        what = "cards" if points else "certificates"
        raise NotAccepted(f"This organisation does not take the {what} of the one that issued it.")


def require_open(branch: Branch | None) -> None:
    """Raises NotAccepted when the branch is switched off; no branch at all is nobody's switch."""
    if branch is not None and not branch.active:
        raise NotAccepted(f"The branch '{branch.name}' is switched off.")
