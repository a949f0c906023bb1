"""Scanning: what was read, and what can be done with it."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.certificates.reading import tries
from walletsvc.api.operations import Call, Operation
from walletsvc.api.sales.answers import (
    MoneyOut,
    ReachedTier,
    ReasonOut,
    ScannedCertificate,
    ScanOut,
    StampsOut,
)
from walletsvc.api.sales.common import TAG, caller
from walletsvc.api.sales.examples import CARD, money
from walletsvc.api.sales.reading import NewScan, Speaking
from walletsvc.certificates import lookup
from walletsvc.certificates.states import state
from walletsvc.core.errors import NotFound
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.sales import scanning
from walletsvc.sales.scanning import Scanned


def scan(call: Call) -> ScanOut:
    """What this is."""
    body: NewScan = call.body
    found = scanning.scan(call.session, caller(call), body.text, call.now)
    certificate, card = found.certificate, found.card
    query: Speaking = call.query
    language = query.language or ("en" if card and card.person.language == "en" else "ru")
    return ScanOut(
        kind="card" if found.card else "certificate",
        card=present.card(
            call.deps.settings,
            found.card,
            found.tier.tier if found.tier else None,
            found.balance,
            linked=present.for_scanner(call.key, found.card),
        )
        if found.card
        else None,
        certificate=ScannedCertificate(
            id=certificate.certificate.public_id,
            state=state(certificate.certificate, call.now),
            currency=certificate.programme.currency,
            expires_at=certificate.certificate.expires_at,
        )
        if certificate
        else None,
        tier=_tier(found),
        stamps=StampsOut(**found.stamps._asdict()) if found.stamps else None,
        available=found.available,
        problems=list(found.problems),
        notes=[ReasonOut(code=note.code, text=words(note, language)) for note in found.notes],
        presentation=found.presentation.public_id if found.presentation else None,
        presentation_expires_at=found.presentation.expires_at if found.presentation else None,
    )


def _tier(found: Scanned) -> ReachedTier | None:
    if found.tier is None or found.tier.tier is None or found.card is None:
        return None
    following, missing = found.tier.next, found.tier.missing
    currency = found.card.programme.currency
    return ReachedTier(
        code=found.tier.tier.code,
        next=following.code if following else None,
        missing=None if missing is None else MoneyOut(amount=missing, currency=currency),
    )


OPERATIONS: Final = (
    Operation(
        id="scan",
        method="POST",
        path="/scans",
        brief=True,
        tag=TAG,
        scope=Scope.SALES_READ,
        summary="Say what was scanned",
        description="For tills: the card whose number, or the certificate whose code, a scanner "
        "read. `problems` says why it cannot be used here and now. A code of the moment (the "
        "card's number with more digits behind it) is taken by the first who scans it and brings a "
        "`presentation`, good for ten minutes and one sale or hold; the same key that scans it "
        "once more before that gets the same one. Where there are such codes "
        "`links` is null, and so it is for cards of other organisations. A code that is "
        "used, old, over or wrong is a problem, and `notes` says in words what to ask the "
        "customer. What is not accepted by your organisation answers the same 404 as what does not "
        "exist. Failed tries count together "
        f"with those of looking certificates up: after {lookup.PER_KEY.most} of a key or "
        f"{lookup.PER_ORGANISATION.most} of an organisation in ten minutes there is no answer "
        "until the time in `Retry-After` is over.",
        handler=scan,
        body=NewScan,
        body_example={"text": "9123456789012342"},
        query=Speaking,
        answer=ScanOut,
        answer_example={
            "kind": "card",
            "card": {
                "id": CARD,
                "number": "9123456789012342",
                "holder": {
                    "id": "6k8m0p2r4t6v8x0z2b4d",
                    "first_name": "Анна",
                    "last_name": "Кузнецова",
                    "language": "ru",
                },
                "programme": {"slug": "coffee", "name": "Кофейный клуб", "scale": 0},
                "balance": 620,
                "tier": {"code": "bronze", "name": {"ru": "Бронза", "en": "Bronze"}},
                "group": None,
                "links": {
                    "page_url": "https://cards.example.com/c/Kp7sX2bT9yVh4QmLr1nWc6Ne3ZaUj8Fg",
                    "apple_url": "https://cards.example.com/p/"
                    "Kp7sX2bT9yVh4QmLr1nWc6Ne3ZaUj8Fg.pkpass",
                    "google_url": None,
                },
                "verified_at": "2026-11-01T09:31:10Z",
                "created_at": "2026-11-01T09:30:00Z",
                "closed_at": None,
            },
            "certificate": None,
            "tier": {"code": "bronze", "next": "gold", "missing": money(3450000)},
            "stamps": None,
            "available": 620,
            "problems": [],
            "notes": [],
            "presentation": None,
            "presentation_expires_at": None,
        },
        problems=(NotFound,),
        limits=tries,
    ),
)
