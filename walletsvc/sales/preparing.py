"""The way that a quote and its purchase share: facts, locks, rules, what would be posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from walletsvc.core.errors import (
    CertificateBlocked,
    CertificateExpired,
    NotAccepted,
    NotVerified,
    Refused,
    WalletsvcError,
    wrong,
)
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.accounts import LockedAccount, Locking
from walletsvc.ledger.settling import settle
from walletsvc.ledger.together import Together
from walletsvc.programmes.rulebook.basket import MILLI, Occasion, Tender
from walletsvc.programmes.rulebook.evaluate import evaluate
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import Code, Reason
from walletsvc.programmes.rulebook.tiers import find
from walletsvc.programmes.versions import NO_RULES
from walletsvc.sales import presence
from walletsvc.sales.composing import Part, compose
from walletsvc.sales.facts import (
    BranchFacts,
    Facts,
    Standing,
    ask_standing,
    gather,
    standing_of,
)
from walletsvc.sales.presence import Shown
from walletsvc.sales.retiering import lower_of
from walletsvc.sales.sale import Caller, Mistake, Reference, Sale

_AHEAD: Final = timedelta(minutes=10)  # how far a till's clock may be ahead


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sale that has passed every check, its accounts locked, nothing written."""

    sale: Sale
    at: datetime
    facts: Facts
    branch: BranchFacts | None
    locked: Mapping[int, LockedAccount]
    standing: Standing
    points: int
    available: int | None
    outcome: Outcome
    together: Together
    parts: tuple[Part, ...]
    shown: Shown

    @property
    def account(self) -> LockedAccount | None:
        """The card's account, as it is locked."""
        card = self.facts.card
        return None if card is None else self.locked[card.account_id]

    @property
    def moves_points(self) -> bool:
        """Whether anything is posted to the card's account."""
        return any(part.certificate is None for part in self.parts)


def prepare(
    session: Session,
    caller: Caller,
    sale: Sale,
    reference: Reference | None,
    now: datetime,
    mistake: Mistake | None = None,
) -> Prepared | int:
    """Check and compute a sale, or say which purchase was recorded under its reference.

    The lock of all accounts comes before anything that it protects is read. Raises InputError
    naming the field, NotAccepted, NotVerified, Refused, InsufficientFunds, HoldClosed,
    CertificateBlocked, CertificateExpired, PresenceRequired and Conflict.
    """
    at = _business_time(sale, now)
    if sum(line.milli_sum for line in sale.basket.as_given) > MAX_AMOUNT * MILLI:
        field = "lines" if sale.basket.lines else "total"
        raise wrong(field, "come to more than can be counted", "out_of_range")
    facts = gather(session, caller, sale, reference, at)
    if facts.former is not None:
        return facts.former
    branch = _branch(caller, sale, facts)
    _check_card(sale, facts)
    _check_certificates(sale, facts)
    accounts = [found.account_id for found in facts.certificates.values()]
    if facts.card is not None:
        accounts.append(facts.card.account_id)
    instead = mistake.purchase_id if mistake else None
    locked, standing = _lock(session, caller, facts, sale, reference, accounts, at, now, instead)
    account_id = locked[facts.card.account_id].id if facts.card else None
    if standing.former is not None:
        return standing.former
    if mistake is not None and facts.card is not None and account_id == mistake.account_id:
        most = lower_of(facts.card.book, standing.tier, mistake.tier)
        standing = replace(standing, tier=most)
    points = _points(sale, facts, standing)
    _require_spendable(sale, facts, standing, now)
    shown = presence.look(session, caller, sale, facts.card, points, at, now, mistake)
    outcome = _evaluate(sale, facts, branch, standing, points, at, now, shown)
    reason = f"Receipt {reference.external_id}" if reference else "Quote"
    together = Together(
        session, locked, standing.lots, standing.holds, facts.known, caller.actor, reason, now,
        branch.id if branch else None,
    )  # fmt: skip
    available = together.available(facts.card.account_id) if facts.card else None
    parts = compose(together, caller, sale, facts, outcome, points, at)
    found = (locked, standing, points, available, outcome, together, parts, shown)
    return Prepared(sale, at, facts, branch, *found)


def _lock(
    session: Session,
    caller: Caller,
    facts: Facts,
    sale: Sale,
    reference: Reference | None,
    accounts: Sequence[int],
    at: datetime,
    now: datetime,
    instead: int | None,
) -> tuple[dict[int, LockedAccount], Standing]:
    """Lock the accounts and read what that keeps still: in one round trip, and a second look when
    another account had to be locked or something was due on one."""
    ask = partial(ask_standing, session, caller, facts, sale, reference, at=at, instead=instead)
    account_id = facts.card.account_id if facts.card else None
    locking = Locking(session, accounts, now=now) if accounts else None
    asked = ask(account_id=account_id)
    found = locking.done() if locking else {}
    locked = {named: settle(session, account, now) for named, account in found.items()}
    if any(account.due or account.id != named for named, account in found.items()):
        asked = ask(account_id=account_id and locked[account_id].id)
    return locked, standing_of(asked, facts)


def _business_time(sale: Sale, now: datetime) -> datetime:
    at = now if sale.at is None else sale.at
    if at > now + _AHEAD:
        raise wrong("at", "must not be in the future", "out_of_range")
    if at.year < 2000:
        raise wrong("at", "must be a time of this century", "out_of_range")
    return min(at, now)


def _branch(caller: Caller, sale: Sale, facts: Facts) -> BranchFacts | None:
    found = facts.branches
    if sale.branch is not None:
        named = [branch for branch in found if branch.public_id == sale.branch]
        if not named or named[0].organisation_id != caller.organisation_id:
            raise wrong("branch_id", "is not a branch of yours", "unknown")
        if caller.branch_id not in (None, named[0].id):
            raise wrong("branch_id", "must be that of the API key", "not_allowed")
        found = (named[0],)
    if found and not found[0].open:
        raise NotAccepted(f"The branch '{found[0].name}' is switched off.")
    return found[0] if found else None


def _check_card(sale: Sale, facts: Facts) -> None:
    card = facts.card
    if sale.card is not None and card is None:
        raise wrong("card_id", "is not a card", "unknown")
    if card is None:
        for name in ("points", "hold", "presentation", "proof"):
            if getattr(sale, name):
                field = "hold_id" if name == "hold" else name
                raise wrong(field, "needs a card", "not_allowed")
        return
    if not card.accepted:
        raise NotAccepted("This organisation does not take the cards of the one that issued it.")
    if card.closed:
        raise Refused("The card is closed.")
    if card.programme.closed_at is not None:
        raise Refused("The programme is closed.")
    if not card.verified and (sale.points or sale.hold):
        raise NotVerified("The card cannot spend: its holder has not proved a phone yet.")
    if card.programme.currency != sale.currency:
        raise wrong("currency", f"must be {card.programme.currency}, as the card's", "not_allowed")


def _check_certificates(sale: Sale, facts: Facts) -> None:
    seen: set[str] = set()
    for number, each in enumerate(sale.certificates):
        field = f"certificates.{number}"
        if each.id in seen:
            raise wrong(f"{field}.certificate_id", "stands here a second time", "duplicate")
        seen.add(each.id)
        found = facts.certificates.get(each.id)
        if found is None:
            raise wrong(f"{field}.certificate_id", "is not a certificate", "unknown")
        if not found.accepted:
            raise NotAccepted(
                "This organisation does not take the certificates of the one that issued it.",
                certificate=each.id,
            )
        if found.currency != sale.currency:
            raise wrong(f"{field}.amount", f"must be in {found.currency}", "not_allowed")
        if each.hold is not None and facts.holds.get(each.hold, (0, 0))[1] != found.account_id:
            raise wrong(f"{field}.hold_id", "is not a hold of this certificate", "unknown")


def _points(sale: Sale, facts: Facts, standing: Standing) -> int:
    """How many points pay: as said, or all that is held."""
    if sale.hold is None:
        return sale.points or 0
    hold = facts.holds.get(sale.hold)
    if hold is None or facts.card is None or hold[1] != facts.card.account_id:
        raise wrong("hold_id", "is not a hold of this card", "unknown")
    return standing.holds[hold[0]].amount if sale.points is None else sale.points


def _require_spendable(sale: Sale, facts: Facts, standing: Standing, now: datetime) -> None:
    """The certificates as they are under the lock."""
    for each in sale.certificates:
        row = standing.certificates[facts.certificates[each.id].id]
        problem: WalletsvcError | None = None
        if row["closed_at"] is not None:
            problem = Refused("The certificate is closed: it was transferred or paid out.")
        elif row["blocked_at"] is not None:
            problem = CertificateBlocked("The certificate is blocked; staff can say why.")
        elif each.hold is None and _ended(row["expires_at"], now):
            problem = CertificateExpired("The certificate has expired: it cannot be spent.")
        if problem is not None:
            problem.data["certificate"] = each.id
            raise problem


def _ended(expires_at: str | None, now: datetime) -> bool:
    return expires_at is not None and datetime.fromisoformat(expires_at) <= now


def _evaluate(
    sale: Sale,
    facts: Facts,
    branch: BranchFacts | None,
    standing: Standing,
    points: int,
    at: datetime,
    now: datetime,
    shown: Shown,
) -> Outcome:
    card = facts.card
    programme_zone = ZoneInfo(card.programme.time_zone if card else "UTC")
    local = ZoneInfo(branch.time_zone) if branch else programme_zone
    book = NO_RULES if card is None else card.book
    occasion = Occasion(
        at=at.astimezone(local),
        organisation=facts.organisation,
        branch=branch.public_id if branch else None,
        branch_groups=card.groups if card else (),
        channel=sale.channel,
        # A tier that this version does not have counts as the one that the turnover reaches.
        tier=standing.tier if find(book, standing.tier) else None,
        turnover=max(standing.base, 0),
        first_purchase=standing.first_purchase,
        birthday=card.birthday if card else None,
        present=shown.present,
        paid_with_points=points,
        paid_with_certificates=tuple(
            Tender(id=each.id, amount=each.amount) for each in sale.certificates
        ),
    )
    scale = card.scale if card else 0
    outcome = evaluate(book, sale.basket, occasion, zone=programme_zone, scale=scale)
    told = outcome.explanation
    if not shown.present:
        told = (Reason(code=Code.PRESENCE_REQUIRED), *told)
    if card is not None and card.version is None:
        told = (Reason(code=Code.NO_RULES if card.verified else Code.NOT_VERIFIED), *told)
    elif card is not None and (day := occasion.at.date()) < now.astimezone(local).date():
        told = (Reason(code=Code.LATE, data={"date": day.isoformat()}), *told)
    return (
        outcome if told is outcome.explanation else outcome.model_copy(update={"explanation": told})
    )
