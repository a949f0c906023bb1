"""The gift certificates that somebody keeps with their card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from walletsvc.certificates.keeping.service import Kept, kept
from walletsvc.certificates.states import State, state
from walletsvc.storefront.account import answering, writing
from walletsvc.storefront.account.visiting import Visitor
from walletsvc.web.i18n import language
from walletsvc.web.i18n import translated as _


@dataclass(frozen=True)
class Row:
    """A certificate; `trouble` says why it cannot be spent, `page` is its own page."""

    public_id: str
    page: str
    name: str
    where: str
    left: str
    of: str
    until: str
    trouble: str


def listed(session: Session, found: Visitor, now: datetime) -> dict[str, Any]:
    """All of them."""
    return {
        "here": "certificates",
        "said": answering.said(),
        "rows": [_row(each, now) for each in kept(session, found.person.id, now)],
    }


def _row(each: Kept, now: datetime) -> Row:
    certificate, programme = each.certificate, each.programme
    writes = writing.Writing(language(), programme.time_zone, 2, programme.currency, True)
    return Row(
        public_id=certificate.public_id,
        page=f"/c/{certificate.link_token}",
        name=programme.name,
        where=each.organisation,
        left=writes.amount(each.balance),
        of=writes.amount(certificate.face_value),
        until=writes.last_day(certificate.expires_at) if certificate.expires_at else "",
        trouble=_trouble(state(certificate, now)),
    )


def _trouble(found: State) -> str:
    match found:
        case State.CLOSED:
            return _("Given on or paid out: it is of no use any more.")
        case State.BLOCKED:
            return _("Blocked. Ask at the till why.")
        case State.EXPIRED:
            return _("The end date has passed. What is left can be paid back.")
        case State.ACTIVE:
            return ""
