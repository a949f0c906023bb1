"""The card's page for its holder: the live code, the balance and its reason, the tier."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import segno
from sqlmodel import Session, col, select

from walletsvc.cards.codes.service import Shown, current_code
from walletsvc.cards.models import Card
from walletsvc.passes import levels
from walletsvc.passes.content import grouped
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.storefront import face as faces
from walletsvc.storefront.account import answering, balance
from walletsvc.storefront.account.visiting import Visitor
from walletsvc.storefront.face import FaceField
from walletsvc.web.i18n import language

_TURN: Final = 30.0  # seconds that a code lasts


def live(found: Visitor) -> bool:
    """Whether the card's code is one of the moment."""
    return found.programme.code_policy is not CodePolicy.STATIC and found.card.closed_at is None


def add(session: Session, found: Visitor, page: dict[str, Any], now: datetime) -> None:
    """Add what only the holder sees to the page that everybody with the link sees. Takes a
    transaction that may write."""
    if live(found):
        shown = current_code(session, found.card, found.programme, now)
        text = grouped(found.card.number)
        page["face"] = replace(page["face"], code=faces.qr(shown.text), code_text=text)
        page["live"] = {"seconds": seconds(shown, now), "turn": _TURN}
    tier = balance.tier(session, found, language())
    if tier is not None:  # the panel says it, in the page's language rather than the card's
        page["face"] = replace(page["face"], back=_without_tier(page["face"].back))
    page |= {
        "base": found.base,
        "here": "card",
        "said": answering.said(),
        "balance": balance.balance(session, found, now, language()),
        "tier": tier,
        "others": _others(session, found),
    }


def _without_tier(listed: list[FaceField]) -> list[FaceField]:
    return [each for each in listed if each.says.strip("{}") not in levels.PLACEHOLDERS]


def seconds(shown: Shown, now: datetime) -> float:
    """How long the code still counts."""
    if shown.valid_until is None:
        return _TURN
    return round(max((shown.valid_until - now).total_seconds(), 0.0), 1)


def drawing(shown: Shown) -> bytes:
    """The code as a picture of its own."""
    out = io.BytesIO()
    segno.make_qr(shown.text, error="m").save(
        out, kind="svg", xmldecl=False, border=0, omitsize=True, dark="#000", svgclass="qr",
        lineclass=None,
    )  # fmt: skip
    return out.getvalue()


def _others(session: Session, found: Visitor) -> list[tuple[str, str]]:
    """The holder's other cards: name of the programme, address of the page."""
    rows = session.exec(
        select(Card, Programme.name)
        .join(Programme, col(Programme.id) == col(Card.programme_id))
        .where(
            Card.person_id == found.person.id,
            col(Card.id) != found.card.id,
            col(Card.closed_at).is_(None),
        )
        .order_by(col(Card.id))
    )
    return [(name, f"/c/{card.link_token}") for card, name in rows]
