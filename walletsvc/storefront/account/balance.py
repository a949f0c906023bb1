"""Why a balance is what it is, in the words of the page; and the way to the next tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.ledger.explanation import LotRow
from walletsvc.ledger.queries import explain
from walletsvc.passes.levels import still
from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.rulebook.stamp_cards import collected
from walletsvc.programmes.tiers import queries as tiers
from walletsvc.programmes.versions import book_of, current
from walletsvc.sales import queries as sales
from walletsvc.storefront.account import writing
from walletsvc.storefront.account.visiting import Visitor, cards_of
from walletsvc.storefront.account.writing import Writing
from walletsvc.web.i18n import translated as _

_WHOLE: Final = 100


@dataclass(frozen=True)
class Part:
    """Something that came together: how much is left, why it came, when it ends, or begins to
    count (`when`). `receipt` is the address of the purchase, if it was the visitor's own."""

    amount: str
    source: str
    earned: str
    when: str
    receipt: str = ""


@dataclass(frozen=True)
class Balance:
    """`parts` are what there is, soonest to end first; they, less `debt`, sum to `total`.
    `ending` is all that has the first last day. `future` is to come; of the total `held` is spoken
    for. `stamps` is how far the card is."""

    heading: str
    total: str
    available: str
    held: str
    parts: list[Part]
    future: list[Part]
    debt: str
    ending: Part | None
    shared: bool
    stamps: str = ""


@dataclass(frozen=True)
class Tier:
    """The tier's name, and the way to the next one in percent of it; empty at the top."""

    name: str
    next: str
    missing: str
    percent: int


def balance(session: Session, found: Visitor, now: datetime, language: str) -> Balance | None:
    """What is on the card at this moment; None where a programme counts nothing."""
    if found.programme.kind is ProgrammeKind.DISCOUNT:
        return None
    words = writing.of(found, language)
    there = explain(session, found.card.account_id).settled(now)
    lots = sorted(there.lots, key=lambda lot: (lot.expires_at is None, lot.expires_at or now))
    receipts = _receipts(session, found, lots)
    matured = [lot for lot in lots if lot.matured]
    parts = [_part(lot, words, receipts) for lot in matured]
    future = [_part(lot, words, receipts) for lot in there.future]
    return Balance(
        heading=_heading(found.programme.kind),
        total=words.amount(there.balance),
        available=words.amount(there.available(now)),
        held=words.amount(there.held) if there.held else "",
        parts=parts,
        future=future,
        debt=words.amount(there.balance) if there.balance < 0 else "",
        ending=_ending(matured, parts, words),
        shared=found.card.group_id is not None,
        stamps=_stamps(session, found, there.balance),
    )


def tier(session: Session, found: Visitor, language: str) -> Tier | None:
    """Where the holder stands; None in a programme without tiers."""
    stands = tiers.standing(session, found.programme.id, found.card.account_id)
    if stands is None or stands.tier is None:
        return None
    name = getattr(stands.tier.name, language)
    if stands.next is None or stands.missing is None:
        return Tier(name, "", "", _WHOLE)
    way = stands.next.threshold - stands.tier.threshold
    done = max(way - stands.missing, 0)
    return Tier(
        name=name,
        next=getattr(stands.next.name, language),
        missing=still(stands.missing, found.programme.currency, language),
        percent=done * _WHOLE // way if way else 0,
    )


def _part(lot: LotRow, words: Writing, receipts: Mapping[str, str]) -> Part:
    end = words.last_day(lot.expires_at) if lot.expires_at else ""
    return Part(
        amount=words.amount(lot.remaining),
        source=_source(lot.source),
        earned=words.day(lot.earned_at),
        when=end if lot.matured else words.day(lot.available_from),
        receipt=receipts.get(lot.transaction_public_id, ""),
    )


def _ending(lots: list[LotRow], parts: list[Part], words: Writing) -> Part | None:
    """All that ends on the first last day, whatever it came of; `parts` are the lots in words."""
    if not parts or not parts[0].when:
        return None
    day = parts[0].when
    together = sum(lot.remaining for lot, part in zip(lots, parts, strict=True) if part.when == day)
    return replace(parts[0], amount=words.amount(together))


def _receipts(session: Session, found: Visitor, lots: list[LotRow]) -> dict[str, str]:
    """The pages of the purchases that these came of; of a shared balance only the visitor's."""
    bought = [lot.transaction_public_id for lot in lots if lot.source == "purchase"]
    known = sales.causes(session, cards_of(session, found), bought) if bought else {}
    return {cause: f"{found.base}/purchases/{purchase}" for cause, purchase in known.items()}


def _stamps(session: Session, found: Visitor, there: int) -> str:
    version = current(session, found.programme.id)
    card = book_of(version).stamp_card if version else None
    if card is None or found.programme.kind is not ProgrammeKind.STAMPS:
        return ""
    have = collected(card, max(there, 0))
    counted = _("%(stamps)s of %(needed)s on the current card", **have._asdict())
    if not have.rewards:
        return str(counted)
    waiting = _("rewards waiting: %(count)s", count=have.rewards)
    return f"{counted} · {waiting}"


def _heading(kind: ProgrammeKind) -> str:
    match kind:
        case ProgrammeKind.STAMPS:
            return _("Stamps")
        case ProgrammeKind.GIFT:
            return _("Balance")
        case _:
            return _("Points")


def _source(source: str) -> str:
    """Where points come from; what staff wrote down about it is not for this page."""
    match source:
        case "purchase":
            return _("Purchase")
        case "registration" | "welcome":
            return _("Welcome gift")
        case "birthday":
            return _("Birthday gift")
        case "import":
            return _("From your former card")
        case "adjustment":
            return _("Credited by the shop")
        case _:
            return _("Gift from the shop")
