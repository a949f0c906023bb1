"""Whoever changes what a programme says locks it first."""

from __future__ import annotations

from sqlmodel import Session, select

from walletsvc.core.errors import Refused
from walletsvc.programmes.models import Programme


def lock(session: Session, programme: Programme) -> Programme:
    """The programme as it is while this transaction holds it. Raises Refused when it is closed.

    Foreign keys do not wait: cards are issued meanwhile.
    """
    locked = session.exec(
        select(Programme)
        .where(Programme.id == programme.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    if locked.closed_at is not None:
        raise Refused(f"The programme '{locked.slug}' is closed.")
    return locked
