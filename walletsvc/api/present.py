"""Stored things in the words of the REST interface."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from walletsvc.access.models import ApiKey
from walletsvc.access.rules import Scope
from walletsvc.api.holds_schemas import ActiveHoldOut
from walletsvc.api.schemas import (
    BulkJobOut,
    CardOut,
    Links,
    PersonOut,
    ProgrammeOut,
    TierOut,
    TransactionOut,
)
from walletsvc.cards.models import Card
from walletsvc.cards.queries import CardView
from walletsvc.certificates.models import Certificate
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.rules import progress
from walletsvc.ledger.queries import HistoryRow, HoldRow
from walletsvc.people.models import Person
from walletsvc.programmes.models import CodePolicy
from walletsvc.programmes.rulebook.schemas import Tier
from walletsvc.settings import Settings

_SPEND: Final = frozenset({Scope.SALES_WRITE, Scope.HOLDS_WRITE})


def links(settings: Settings, holder: Card | Certificate) -> Links:
    """The addresses of a card or certificate: its page, and the ways into each wallet."""
    token = holder.link_token
    return Links(
        page_url=f"{settings.base_url}/c/{token}",
        apple_url=f"{settings.base_url}/p/{token}.pkpass",
        google_url=f"{settings.base_url}/g/{token}" if settings.google_issuer_id else None,
    )


def person(found: Person) -> PersonOut:
    """A holder, without phones: nobody needs them to show a card."""
    return PersonOut(
        id=found.public_id,
        first_name=found.first_name,
        last_name=found.last_name,
        language="en" if found.language == "en" else "ru",
    )


def card(
    settings: Settings, view: CardView, tier: Tier | None, balance: int, *, linked: bool
) -> CardOut:
    """A card with its holder, programme, tier, and what is on it at this moment; its links only
    where whoever asks may have them: see `for_reader` and `for_scanner`."""
    return CardOut(
        id=view.card.public_id,
        number=view.card.number,
        holder=person(view.person),
        programme=ProgrammeOut(
            slug=view.programme.slug, name=view.programme.name, scale=view.unit.scale
        ),
        balance=balance,
        tier=_tier(tier),
        group=view.group.public_id if view.group else None,
        links=links(settings, view.card) if linked else None,
        verified_at=view.card.verified_at,
        created_at=view.card.created_at,
        closed_at=view.card.closed_at,
    )


def for_scanner(key: ApiKey, view: CardView) -> bool:
    """Whether who scanned a card may have its links.

    Behind them is the code of the moment: with them the number alone would be as good as it.
    """
    own = view.programme.organisation_id == key.organisation_id
    return own and view.programme.code_policy is CodePolicy.STATIC


def for_reader(key: ApiKey, view: CardView) -> bool:
    """Whether who reads a card of their own organisation may have its links: where there are
    codes of the moment, not who spends at a till."""
    at_till = key.branch_id is not None or not _SPEND.isdisjoint(key.scopes)
    return view.programme.code_policy is CodePolicy.STATIC or not at_till


def _tier(tier: Tier | None) -> TierOut | None:
    if tier is None:
        return None
    return TierOut(code=tier.code, name={"ru": tier.name.ru, "en": tier.name.en})


def transaction(row: HistoryRow, *, dry_run: bool = False) -> TransactionOut:
    """An entry of an account, told as the transaction it is part of."""
    return TransactionOut(
        id=None if dry_run else row.public_id,
        type=row.type,
        amount=row.amount,
        balance_after=row.balance_after,
        reason=row.reason,
        actor=row.actor,
        branch=row.branch_public_id,
        card=row.card_public_id,
        undoes=row.undoes_public_id,
        at=row.at,
    )


def active_hold(hold: HoldRow) -> ActiveHoldOut:
    """What an active hold reserves."""
    return ActiveHoldOut(
        id=hold.public_id,
        amount=hold.amount,
        expires_at=hold.expires_at,
        branch=hold.branch_public_id,
    )


def bulk_job(job: BulkJob, now: datetime) -> BulkJobOut:
    """A bulk job and how far it is at this moment."""
    found = progress(job, now)
    return BulkJobOut(
        id=job.public_id,
        kind=job.kind,
        title=job.title,
        state=job.state,
        done=found.done,
        total=found.total,
        percent=found.percent,
        rate=found.rate,
        remaining_seconds=found.remaining,
        words=found.words,
        result=dict(sorted(job.result.items())),
        actor=job.actor,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )
