"""Whatever a scanner reads, a number of a card or a code of a certificate, and what it is for."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.cards import queries as cards
from walletsvc.cards.codes import service as codes
from walletsvc.cards.codes.models import CodePolicy, Presentation
from walletsvc.cards.codes.rules import Read, split
from walletsvc.cards.plastic.queries import accepted
from walletsvc.cards.queries import CardView, find_by_number
from walletsvc.cards.rules import number_valid
from walletsvc.certificates import lookup, queries
from walletsvc.certificates.queries import CertificateView
from walletsvc.certificates.states import State, state
from walletsvc.core.errors import NotAccepted, NotFound
from walletsvc.ledger.queries import explain
from walletsvc.merchants.acceptance import require_accepted, require_open
from walletsvc.merchants.models import Branch
from walletsvc.programmes.rulebook.reasons import Code, Reason
from walletsvc.programmes.rulebook.stamp_cards import Collected, collected
from walletsvc.programmes.tiers.queries import Standing, standing
from walletsvc.programmes.versions import book_of, current
from walletsvc.sales.presence import taker
from walletsvc.sales.sale import Caller

_SEPARATORS: Final = str.maketrans("", "", " -\t\r\n")


class Problem(enum.StrEnum):
    """Why what was scanned cannot be used here and now."""

    CARD_CLOSED = "card_closed"
    PROGRAMME_CLOSED = "programme_closed"
    NOT_VERIFIED = "not_verified"
    NOT_ACCEPTED = "not_accepted"
    BRANCH_CLOSED = "branch_closed"
    CERTIFICATE_BLOCKED = "certificate_blocked"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_CLOSED = "certificate_closed"
    CODE_USED = "code_used"
    CODE_OLD = "code_old"
    CODE_EXPIRED = "code_expired"
    CODE_AHEAD = "code_ahead"
    CODE_WRONG = "code_wrong"


@dataclass(frozen=True, slots=True)
class Scanned:
    """A card or a certificate: what is on it now and what may be spent, in its minor units.

    `stamps` are those on a card of a programme whose rules have a stamp card; `notes` are what one
    wants to know of a card that can be used, and in words why its code cannot. `presentation` is
    what a sale names to show that a code of the moment was there.
    """

    card: CardView | None
    certificate: CertificateView | None
    tier: Standing | None
    balance: int
    available: int
    problems: tuple[Problem, ...]
    stamps: Collected | None = None
    notes: tuple[Reason, ...] = ()
    presentation: Presentation | None = None


def scan(session: Session, caller: Caller, text: str, now: datetime) -> Scanned:
    """What this is; raises NotFound for everything that is nothing to the caller.

    A code of the moment is taken, which writes: whoever scans it next is refused. A certificate's
    code is money: count the try first (`certificates.lookup.PER_KEY`).
    """
    problems = _branch(session, caller)
    read = split(text.translate(_SEPARATORS))
    card = _number(session, caller, read.number if read else text)
    if card is not None:
        return _card(session, caller, card, read, problems, now)
    found = lookup.look_up(session, text, caller.organisation_id)
    view = found and queries.view(session, caller.organisation_id, found)
    if not view:
        raise NotFound("This is neither a card nor a certificate that is accepted here.")
    now_is = state(view.certificate, now)
    if now_is is not State.ACTIVE:
        problems = (*problems, Problem(f"certificate_{now_is}"))
    explained = explain(session, view.account.id)
    available = explained.available(now) if now_is is State.ACTIVE else 0
    return Scanned(None, view, None, view.balance, available, problems)


def _number(session: Session, caller: Caller, text: str) -> str | None:
    """The public id of the card with this number, ours or that of its plastic; "" when it is a
    number of ours that no card has, None when it is no number at all."""
    number = text.translate(_SEPARATORS)
    ours = number_valid(number)
    if ours:
        known = find_by_number(session, number)
        if known is not None:
            return known
    plastic = accepted(session, caller.organisation_id, text)
    return plastic if plastic is not None or not ours else ""


def _card(
    session: Session,
    caller: Caller,
    public_id: str,
    read: Read | None,
    problems: tuple[Problem, ...],
    now: datetime,
) -> Scanned:
    view = cards.find_anywhere(session, public_id) if public_id else None
    if view is None:
        raise NotFound("This is neither a card nor a certificate that is accepted here.")
    try:
        require_accepted(
            session,
            issuer_id=view.programme.organisation_id,
            acceptor_id=caller.organisation_id,
            points=True,
        )
    except NotAccepted:
        # As if it did not exist: a card of others tells nothing about its holder.
        raise NotFound("This is neither a card nor a certificate that is accepted here.") from None
    if view.card.closed_at is not None:
        problems = (*problems, Problem.CARD_CLOSED)
    if view.programme.closed_at is not None:
        problems = (*problems, Problem.PROGRAMME_CLOSED)
    notes: tuple[Reason, ...] = ()
    if view.programme.verified_only and view.card.verified_at is None:
        problems = (*problems, Problem.NOT_VERIFIED)
        notes = (Reason(code=Code.NOT_VERIFIED),)
    explained = explain(session, view.account.id)
    tier = standing(session, view.programme.id, view.account.id)
    available = explained.available(now)
    version = current(session, view.programme.id)
    card = book_of(version).stamp_card if version else None
    stamps = collected(card, available) if card else None
    notes = notes if version else (*notes, Reason(code=Code.NO_RULES))
    presentation = None
    if view.programme.code_policy is not CodePolicy.STATIC and not problems:
        shown = _shown(session, caller, view, read, now)
        if isinstance(shown, Presentation):
            presentation = shown
        else:
            problems = () if shown is Code.PRESENCE_REQUIRED else (Problem(shown),)
            notes = (*notes, Reason(code=shown))
    return Scanned(
        view, None, tier, explained.settled(now).balance, 0 if problems else available, problems,
        stamps, notes, presentation,
    )  # fmt: skip


def _shown(
    session: Session, caller: Caller, view: CardView, read: Read | None, now: datetime
) -> Presentation | Code:
    """What showing this code brings, or why it brings nothing. The code of a card that was merged
    says no more than its number: it is none of the card that it is part of, nor a guess at one."""
    if read is None or read.number != view.card.number:
        return Code.PRESENCE_REQUIRED
    policy = view.programme.code_policy
    found = codes.present(session, view.card, policy, read.code, taker(caller), now)
    return found if isinstance(found, Presentation) else Code(found)


def _branch(session: Session, caller: Caller) -> tuple[Problem, ...]:
    if caller.branch_id is None:
        return ()
    try:
        require_open(session.get_one(Branch, caller.branch_id))
    except NotAccepted:
        return (Problem.BRANCH_CLOSED,)
    return ()
