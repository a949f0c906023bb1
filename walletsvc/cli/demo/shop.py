"""The demo's two organisations: a chain of coffee shops and the hotel next door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key, list_keys, revoke_key
from walletsvc.app import Installation
from walletsvc.cards.groups.models import CardGroup
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.ledger import due
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.models import Branch, Organisation
from walletsvc.merchants.service import create_branch, create_organisation, list_branches
from walletsvc.programmes.calendar import end_of_day
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_gift_programme, create_points_programme

SLUG: Final = "nordshore"
HOTEL_SLUG: Final = "mayak"
BRANCHES: Final = (
    ("На набережной", "Набережная, 7"),
    ("На Садовой", "Садовая, 21"),
    ("У вокзала", "Вокзальная площадь, 2"),
)
PARTNERS_FOR: Final = timedelta(days=90)
TILL: Final = Actor("till", "demo")
_KEY_NAMES: Final = ("demo", "demo-first-till", "demo-second-till")

_COMING: Final = text("""
SELECT available_from AS at FROM lots
 WHERE account_id = :account_id AND matured_id IS NULL AND remaining > 0
UNION
SELECT expires_at FROM lots WHERE account_id = :account_id AND remaining > 0
""")


@dataclass(frozen=True)
class Shop:
    """What the past and the story need of the founded organisations."""

    organisation: Organisation
    branches: Sequence[Branch]
    loyalty: Programme
    gift: Programme
    hotel: Organisation
    restaurant: Branch
    hotel_gift: Programme


@dataclass(frozen=True)
class Examples:
    """For someone who wants to look: a guest's card, the family's first card, certificates."""

    card: Card
    relative: Card
    gift: Certificate
    expired: Certificate


@dataclass(frozen=True)
class Keys:
    """Secrets of API keys with every scope: of the chain, of two of its tills, of the hotel."""

    chain: str
    first_till: str
    second_till: str
    hotel: str


def find(session: Session) -> Shop | None:
    """The demo shop of this database, if it was seeded before."""
    found = {each.slug: each for each in session.exec(select(Organisation))}
    if SLUG not in found or HOTEL_SLUG not in found:
        return None
    programmes = {each.slug: each for each in session.exec(select(Programme))}
    return Shop(
        found[SLUG],
        list_branches(session, found[SLUG].id),
        programmes[SLUG],
        programmes[f"{SLUG}-gift"],
        found[HOTEL_SLUG],
        list_branches(session, found[HOTEL_SLUG].id)[0],
        programmes[f"{HOTEL_SLUG}-gift"],
    )


def found(session: Session, now: datetime) -> Shop:
    """Found both organisations in the past; each accepts what the other issues."""
    began = now - timedelta(days=200)
    chain = create_organisation(
        session,
        slug=SLUG,
        name="Северный берег",
        phone="+7 812 600-40-20",
        website="https://nordshore.example",
        now=began,
    )
    branches = [
        create_branch(session, organisation_id=chain.id, name=name, address=address, now=began)
        for name, address in BRANCHES
    ]
    loyalty = create_points_programme(
        session, organisation_id=chain.id, slug=SLUG, name="Клуб «Северный берег»", now=began
    )
    gift = _gift_programme(session, chain, began)
    hotel = create_organisation(
        session, slug=HOTEL_SLUG, name="Отель «Маяк»", phone="+7 812 600-40-90", now=began
    )
    restaurant = create_branch(
        session, organisation_id=hotel.id, name="Ресторан «Маяк»", address="Морская, 3", now=began
    )
    hotel_gift = _gift_programme(session, hotel, began)
    met = now - PARTNERS_FOR
    accept(session, chain, hotel, points=True, certificates=True, now=met)
    accept(session, hotel, chain, points=False, certificates=True, now=met)
    return Shop(chain, branches, loyalty, gift, hotel, restaurant, hotel_gift)


def _gift_programme(session: Session, of: Organisation, now: datetime) -> Programme:
    return create_gift_programme(
        session,
        organisation_id=of.id,
        slug=f"{of.slug}-gift",
        name="Подарочный сертификат",
        now=now,
    )


def past_noon(now: datetime) -> datetime:
    """The latest noon (UTC) before `now`: shops are open then, whenever the demo is started."""
    noon = now.replace(hour=12, minute=0, second=0, microsecond=0)
    return noon if noon < now else noon - timedelta(days=1)


def ends_after(programme: Programme, days: int, moment: datetime) -> datetime:
    """The end of the day that comes so many days after `moment`."""
    return end_of_day(programme, (moment + timedelta(days=days)).date(), moment)


def pass_time(session: Session, account_id: int, until: datetime) -> None:
    """What the jobs would have done to an account up to `until`, each thing on its own day."""
    while True:
        dates = session.execute(_COMING, {"account_id": account_id}).scalars()
        coming = min((at for at in dates if at is not None and at <= until), default=None)
        if coming is None:
            return
        due.settle(session, [account_id], coming)


def examples(session: Session, shop: Shop) -> Examples:
    """The first of each kind; raises NotFound when somebody did away with one."""
    cards = select(Card).where(Card.programme_id == shop.loyalty.id).order_by(col(Card.id))
    open_groups = select(CardGroup.id).where(col(CardGroup.closed_at).is_(None))
    gifts = (
        select(Certificate)
        .where(Certificate.programme_id == shop.gift.id, col(Certificate.closed_at).is_(None))
        .order_by(col(Certificate.id))
    )
    card = session.exec(cards).first()
    relative = session.exec(cards.where(col(Card.group_id).in_(open_groups))).first()
    gift = session.exec(gifts.where(col(Certificate.expired_at).is_(None))).first()
    expired = session.exec(gifts.where(col(Certificate.expired_at).is_not(None))).first()
    if card is None or relative is None or gift is None or expired is None:
        raise NotFound("The demo shop has lost its cards. Remove its folder to begin anew.")
    return Examples(card, relative, gift, expired)


def new_keys(installation: Installation, shop: Shop) -> Keys:
    """API keys for whoever tries the demo; those of earlier demos end."""
    now = installation.clock()
    secrets = []
    with installation.database.write_tx() as session:
        for organisation in (shop.organisation, shop.hotel):
            for old in list_keys(session, organisation_id=organisation.id):
                if old.name in _KEY_NAMES and old.revoked_at is None:
                    revoke_key(session, old.public_id, now=now)
        for organisation, name, branch in (
            (shop.organisation, _KEY_NAMES[0], None),
            (shop.organisation, _KEY_NAMES[1], shop.branches[0]),
            (shop.organisation, _KEY_NAMES[2], shop.branches[-1]),
            (shop.hotel, _KEY_NAMES[0], shop.restaurant),
        ):
            _, secret = create_key(
                session,
                organisation_id=organisation.id,
                name=name,
                scopes=sorted(SCOPES),
                branch_id=branch.id if branch else None,
                now=now,
            )
            secrets.append(secret)
    return Keys(*secrets)
