"""A shop with both of the product's templates published, and cards to look at."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from PIL import Image
from sqlmodel import Session

from walletsvc.apple.dialect import AppleDialect
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.actor import Actor
from walletsvc.enrolment.service import enrol, issue_certificate
from walletsvc.ledger import service as ledger
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import create_organisation
from walletsvc.passes import images
from walletsvc.passes.models import PassType
from walletsvc.passes.templates import LoadedTemplate, load, publish
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_gift_programme, create_points_programme

TEMPLATES = Path(__file__).parents[2] / "pass_templates"
TILL = Actor("till", "test")
DIALECTS = (AppleDialect("https://cards.example"),)


@dataclass(frozen=True)
class Shop:
    """An organisation with a points and a gift programme, and where their passes come from."""

    organisation: Organisation
    points: Programme
    gift: Programme
    points_type: PassType
    gift_type: PassType


def open_shop(session: Session, now: datetime, *, scale: int = 0, published: bool = True) -> Shop:
    """A new shop; without `published` its programmes have no templates."""
    organisation = create_organisation(
        session,
        slug="nordshore",
        name="Северный берег",
        phone="+78125550142",
        website="https://nordshore.example",
        now=now,
    )
    points = create_points_programme(
        session,
        organisation_id=organisation.id,
        slug="guest",
        name="Карта гостя",
        scale=scale,
        now=now,
    )
    gift = create_gift_programme(
        session, organisation_id=organisation.id, slug="gift", name="Подарочная карта", now=now
    )
    points_type, gift_type = (
        PassType(
            identifier=f"pass.test.{name}", team_identifier="TEST000001", epoch=1, created_at=now
        )
        for name in ("points", "gift")
    )
    session.add_all([points_type, gift_type])
    session.flush()
    shop = Shop(organisation, points, gift, points_type, gift_type)
    if published:
        publish_both(session, shop, now)
    return shop


def publish_both(session: Session, shop: Shop, now: datetime) -> None:
    """Publish the product's own templates."""
    for programme, pass_type, name in (
        (shop.points, shop.points_type, "loyalty"),
        (shop.gift, shop.gift_type, "gift"),
    ):
        publish(
            session,
            programme_id=programme.id,
            pass_type_id=pass_type.id,
            template=_plain_template(name),
            dialects=DIALECTS,
            now=now,
        )


@cache
def product_template(name: str) -> LoadedTemplate:
    """One of the templates that the product brings."""
    return load(TEMPLATES / name)


@cache
def _plain_template(name: str) -> LoadedTemplate:
    return plain(product_template(name))


def plain(template: LoadedTemplate) -> LoadedTemplate:
    """The same with pictures of one colour: quick to scale, for tests about other things."""
    pictures = {}
    for number, (kind, box) in enumerate(images.KINDS.items()):
        out = io.BytesIO()
        Image.new("RGB", box.source, (90, 60, 40 * number)).save(out, "PNG")
        pictures[kind] = out.getvalue()
    return replace(template, images=pictures)


def member(
    session: Session,
    shop: Shop,
    now: datetime,
    *,
    points: int = 0,
    first: str = "Анна",
    last: str = "Соколова",
    phone: str = "+79000001000",
) -> Card:
    """A member with that many points in minor units."""
    card = enrol(
        session,
        programme=shop.points,
        phone=phone,
        first_name=first,
        last_name=last,
        actor=TILL,
        now=now,
    ).card
    if points:
        ledger.credit(
            session, card.account_id, points, source="test", actor=TILL, reason="test", now=now
        )
    return card


def certificate(
    session: Session,
    shop: Shop,
    now: datetime,
    *,
    face_value: int = 500_000,
    recipient: str = "Марина",
    expires_at: datetime | None = None,
) -> Certificate:
    """A gift card of that value in kopecks."""
    return issue_certificate(
        session,
        programme=shop.gift,
        face_value=face_value,
        recipient_name=recipient,
        expires_at=expires_at,
        actor=TILL,
        reason="test",
        now=now,
    ).certificate
