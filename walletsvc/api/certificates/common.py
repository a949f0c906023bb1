"""What all calls about certificates share: finding one, showing one, examples."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.certificate_schemas import CertificateMovement, CertificateOut, EventOut
from walletsvc.api.operations import Call, require_scope
from walletsvc.certificates import queries
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.queries import CertificateView
from walletsvc.certificates.states import State, state
from walletsvc.core.errors import NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger.models import Transaction
from walletsvc.ledger.queries import explain, history
from walletsvc.programmes.calendar import end_of_day
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.service import find_programme

TAG: Final = "Gift certificates"
PATH: Final = {"certificate_id": "The certificate's id, as issuing it or looking it up answered."}


def find(call: Call, *, own: bool = False) -> CertificateView:
    """The certificate of the path, if the caller accepts it (`own`: if the caller issued it)."""
    public_id = call.path["certificate_id"]
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        found = queries.find(call.session, call.key.organisation_id, public_id)
    if found is None or (own and not found.own):
        raise NotFound("There is no such certificate.")
    return found


def find_any(call: Call) -> Certificate:
    """The certificate of the path, whoever asks: for calls that look at more than it."""
    public_id = call.path["certificate_id"]
    found = None
    if PUBLIC_ID.fullmatch(public_id):
        found = queries.find_any(call.session, public_id)
    if found is None:
        # In the words of the verb: who may not see a certificate must not learn that it exists.
        raise NotFound("There is no such redemption.")
    return found


def programme(call: Call, slug: str) -> Programme:
    """The caller's gift programme of that name; raises InputError."""
    try:
        found = find_programme(call.session, call.key.organisation_id, slug)
    except NotFound:
        raise wrong("programme", "is not a programme of yours", "unknown") from None
    if found.kind is not ProgrammeKind.GIFT:
        raise wrong("programme", "issues cards, not gift certificates", "not_allowed")
    return found


def end(chosen: Programme, day: date | None, now: datetime) -> datetime | None:
    """The end of that day in the programme's zone; raises InputError."""
    return None if day is None else end_of_day(chosen, day, now)


def require_origin(call: Call, name: str) -> Origin:
    """Giving for free takes a scope of its own; raises Forbidden."""
    origin = Origin(name)
    if origin is Origin.FREE:
        require_scope(call, Scope.CERTIFICATES_MANAGE)
    return origin


def available(call: Call, view: CertificateView) -> int:
    """What can be spent of it at this moment: holds that ran out do not count."""
    if state(view.certificate, call.now) is not State.ACTIVE:
        return 0
    return explain(call.session, view.account.id).available(call.now)


def shown(call: Call, view: CertificateView) -> CertificateOut:
    """A certificate as its issuer sees it, or as much as one who accepts it needs."""
    found, own = view.certificate, view.own
    former, later = queries.kin(call.session, found) if own else (None, None)
    return CertificateOut(
        id=found.public_id,
        programme=view.programme.slug,
        currency=view.programme.currency,
        state=state(found, call.now),
        balance=view.balance,
        available=available(call, view),
        face_value=found.face_value,
        expires_at=found.expires_at,
        origin=found.origin if own else None,
        recipient_name=found.recipient_name if own else None,
        language=("en" if found.language == "en" else "ru") if own else None,
        branch=view.branch_public_id if own else None,
        issued_at=found.issued_at if own else None,
        block_reason=found.block_reason if own and found.blocked_at else None,
        links=present.links(call.deps.settings, found) if own else None,
        transferred_from=former,
        transferred_to=later,
        events=[
            EventOut(kind=event.kind, reason=event.reason, actor=event.actor, at=event.at)
            for event in queries.events(call.session, found)
        ]
        if own
        else None,
    )


def movement(
    call: Call, found: Certificate, made: Transaction, *, dry_run: bool
) -> CertificateMovement:
    """What a verb just did. The account is locked, so its newest entry is the one just made."""
    account_id = queries.heir(call.session, found.account_id)
    row = history(call.session, account_id, limit=1)[0]
    if row.public_id != made.public_id:
        raise AssertionError("another transaction came between")
    return CertificateMovement(
        transaction=present.transaction(row, dry_run=dry_run),
        balance=row.balance_after or 0,
        dry_run=dry_run,
    )


LINKS_EXAMPLE: Final = {
    "page_url": "https://cards.example.com/c/Kp7sX2bT9yVh4QmLr1nWc6Ne3ZaUj8Fg",
    "apple_url": "https://cards.example.com/p/Kp7sX2bT9yVh4QmLr1nWc6Ne3ZaUj8Fg.pkpass",
    "google_url": "https://cards.example.com/g/Kp7sX2bT9yVh4QmLr1nWc6Ne3ZaUj8Fg",
}
EXAMPLE: Final = {
    "id": "5c8e1g4j7m0q3s6v9y2b",
    "programme": "spa-gift",
    "currency": "RUB",
    "state": "active",
    "balance": 215950,
    "available": 215950,
    "face_value": 300000,
    "expires_at": "2027-11-20T21:00:00Z",
    "origin": "paid",
    "recipient_name": "Марина",
    "language": "ru",
    "branch": "9b2d5f8h1k4n7r0t3w6z",
    "issued_at": "2026-11-20T09:30:00Z",
    "block_reason": None,
    "links": LINKS_EXAMPLE,
    "transferred_from": None,
    "transferred_to": None,
    "events": [],
}
TRANSACTION_EXAMPLE: Final = {
    "id": "8w2e4r6t0y1v3x5z7b9d",
    "type": "debit",
    "amount": -84050,
    "balance_after": 215950,
    "reason": "Чек 1042",
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "branch": "9b2d5f8h1k4n7r0t3w6z",
    "card": None,
    "undoes": None,
    "at": "2026-11-21T16:05:11Z",
}
MOVEMENT_EXAMPLE: Final = {
    "transaction": TRANSACTION_EXAMPLE,
    "balance": 215950,
    "dry_run": False,
}
