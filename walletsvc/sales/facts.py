"""Everything a sale depends on: what does not change first, then what only a lock keeps still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlmodel import Session

from walletsvc.ledger.models import SystemCode
from walletsvc.ledger.together import (
    HeldLot,
    Known,
    Numbers,
    Reserved,
    holds_of,
    lots_of,
)
from walletsvc.programmes.models import Programme, RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers.queries import StoredTier, base_values
from walletsvc.programmes.versions import NO_RULES, book_of
from walletsvc.sales import known, looks
from walletsvc.sales.sale import Caller, Reference, Sale, claim_of
from walletsvc.storage.statement import Answer

_NO_NUMBERS: Final = Numbers()


class BranchFacts(NamedTuple):
    """Where it is sold; whether it was `open` at the time of the sale, as far as is known."""

    id: int
    public_id: str
    organisation_id: int
    name: str
    time_zone: str
    open: bool


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Whose card it is, and of which programme; `version` counts at the time of the sale: none does
    for a card that is not `verified`."""

    id: int
    public_id: str
    number: str
    account_id: int
    closed: bool
    verified: bool
    birthday: date | None
    language: str
    phone: str | None
    programme: Programme
    scale: int
    accepted: bool
    groups: tuple[str, ...]
    version: RuleVersion | None
    current: str | None

    @property
    def book(self) -> RuleBook:
        """The rules of the sale."""
        return NO_RULES if self.version is None else book_of(self.version)


class CertificateFacts(NamedTuple):
    """A certificate, as far as nothing can change it."""

    id: int
    public_id: str
    account_id: int
    organisation_id: int
    currency: str
    unit_id: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sale depends on; `former` is the purchase that was recorded under its reference."""

    organisation: str
    organisation_name: str
    branches: tuple[BranchFacts, ...]
    card: CardFacts | None
    certificates: Mapping[str, CertificateFacts]
    holds: Mapping[str, tuple[int, int]]  # id and account, by public id
    known: Known
    former: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What only holds while the accounts are locked."""

    lots: Sequence[HeldLot] = ()
    holds: Mapping[int, Reserved] = field(default_factory=dict)
    tier: str | None = None
    base: int = 0
    first_purchase: bool = False
    certificates: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    former: int | None = None
    waiting: tuple[int, ...] = ()
    stored: StoredTier | None = None
    published: str | None = None  # the version of the programme's rules, at this moment
    number: int | None = None  # the id of the purchase, if it is to be recorded
    numbers: Numbers = _NO_NUMBERS


def gather(
    session: Session, caller: Caller, sale: Sale, reference: Reference | None, at: datetime
) -> Facts:
    """Read what a sale at `at` depends on; the card stays with its account from now on."""
    holds = [hold for hold in (sale.hold, *(each.hold for each in sale.certificates)) if hold]
    row = looks.GATHER[bool(holds or sale.certificates)].first(
        session,
        {
            "claims": [claim_of(caller, reference)] if reference else [],
            "organisation_id": caller.organisation_id,
            "branch_id": caller.branch_id,
            "branch": sale.branch,
            "card": sale.card,
            "certificates": [each.id for each in sale.certificates],
            "holds": holds,
            "at": at,
            **_named(reference),
        },
    )
    return Facts(
        organisation=row.organisation,
        organisation_name=row.organisation_name,
        branches=tuple(BranchFacts(**found) for found in row.branches or ()),
        card=_card(session, row.card) if row.card else None,
        certificates={it["public_id"]: CertificateFacts(**it) for it in row.certificates or ()},
        holds={public_id: (id_, account) for public_id, id_, account in row.holds or ()},
        known={
            (organisation, unit, SystemCode(code), counterparty): id_
            for organisation, unit, code, counterparty, id_ in row.system or ()
        },
        former=row.former,
    )


def ask_standing(
    session: Session,
    caller: Caller,
    facts: Facts,
    sale: Sale,
    reference: Reference | None,
    account_id: int | None,
    at: datetime,
    instead: int | None = None,
) -> Answer:
    """Ask for what the locks keep still, which must have been asked for before; `account_id` is the
    card's, as it is locked.

    `instead` is the id of the purchase that this one corrects. Without a reference nothing is
    recorded.
    """
    card = facts.card
    book = NO_RULES if card is None else card.book
    zone = ZoneInfo(card.programme.time_zone) if card else ZoneInfo("UTC")
    recorded = reference is not None
    return looks.STANDING[bool(facts.holds or facts.certificates)].ask(
        session,
        {
            "account_id": account_id,
            "programme_id": card.programme.id if card else None,
            "hold_ids": [id_ for id_, _ in facts.holds.values()],
            "certificate_ids": [found.id for found in facts.certificates.values()],
            "organisation_id": caller.organisation_id,
            "at": at,
            "instead": instead or 0,
            "recorded": recorded,
            # At most: points that pay, each certificate, what is earned.
            "postings": recorded * (len(sale.certificates) + 2),
            "new_lots": int(recorded),
            **base_values(book, at.astimezone(zone).date()),
            **_named(reference),
        },
    )


def standing_of(asked: Answer, facts: Facts) -> Standing:
    """What was asked for."""
    row = asked.first()
    return Standing(
        lots=lots_of(row.lots),
        holds=holds_of(row.holds),
        tier=row.tier,
        base=row.base,
        first_purchase=facts.card is not None and row.first_purchase,
        certificates={found["id"]: found for found in row.certificates or ()},
        former=row.former,
        waiting=tuple(row.waiting or ()),
        stored=StoredTier(row.stored_tier, row.stored_base) if row.stored else None,
        published=row.published,
        number=row.number,
        numbers=Numbers(row.transaction_numbers, row.lot_numbers),
    )


def _named(reference: Reference | None) -> dict[str, str]:
    source, external_id = (reference.source, reference.external_id) if reference else ("", "")
    return {"source": source, "external_id": external_id}


def _card(session: Session, row: Mapping[str, Any]) -> CardFacts:
    programme = known.programme(
        row["programme_id"], row["organisation_id"], row["slug"], row["kind"], row["code_policy"],
        row["programme_name"], row["currency"], row["unit_id"], row["time_zone"],
        row["programme_closed_at"],
    )  # fmt: skip
    return CardFacts(
        id=row["id"],
        public_id=row["public_id"],
        number=row["number"],
        account_id=row["account_id"],
        closed=row["closed_at"] is not None,
        verified=row["verified"],
        birthday=date.fromisoformat(row["birthday"]) if row["birthday"] else None,
        language="en" if row["language"] == "en" else "ru",
        phone=row["phone"],
        programme=programme,
        scale=row["scale"],
        accepted=row["accepted"],
        groups=tuple(row["groups"] or ()),
        version=known.version(session, row["programme_id"], row["version"], row["current"])
        if row["verified"]
        else None,
        current=row["current"],
    )
