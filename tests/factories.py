"""Small real things for tests: a shop with a published template, members with passes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import BytesIO
from unittest import mock

from PIL import Image
from sqlmodel import Session, col, update

from walletsvc.apple import devcerts
from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.enrolment.service import enrol
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import create_organisation
from walletsvc.passes.models import (
    Pass,
    PassTemplate,
    PassType,
    TemplateImage,
    TemplateVersion,
    VersionState,
)
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_points_programme
from walletsvc.settings import Settings

TILL = Actor("till", "test")

DESCRIPTION = {
    "style": "loyalty",
    "description": "about",
    "colours": {"background": "#102030", "foreground": "#ffffff", "label": "#aabbcc"},
    "fields": {
        "header": [
            {"key": "points", "label": "points", "value": "{points}", "change": "points_change"}
        ],
        "secondary": [{"key": "name", "label": "name", "value": "{holder_name}"}],
    },
    "barcode": {"formats": ["qr"], "message": "{card_number}", "alt": "{card_number}"},
    "texts": {
        "ru": {
            "about": "Карта",
            "points": "Баллы",
            "points_change": "Баланс: %@",
            "name": "Имя",
        },
        "en": {
            "about": "Card",
            "points": "Points",
            "points_change": "Balance: %@",
            "name": "Name",
        },
    },
}


@dataclass(frozen=True)
class Shop:
    """An organisation with one points programme whose cards have passes."""

    organisation: Organisation
    programme: Programme
    pass_type: PassType
    template: PassTemplate


def make_shop(session: Session, now: datetime, slug: str = "shop") -> Shop:
    """A shop ready to enrol members; its template has an icon only."""
    organisation = create_organisation(session, slug=slug, name=f"Лавка {slug}", now=now)
    programme = create_points_programme(
        session, organisation_id=organisation.id, slug=slug, name="Клуб", now=now
    )
    pass_type = PassType(
        identifier=f"pass.test.{slug}", team_identifier="TEST000001", epoch=7, created_at=now
    )
    session.add(pass_type)
    session.flush()
    template = PassTemplate(programme_id=programme.id, pass_type_id=pass_type.id, created_at=now)
    session.add(template)
    session.flush()
    version = TemplateVersion(
        template_id=template.id,
        number=1,
        state=VersionState.PUBLISHED,
        description=DESCRIPTION,
        digest=hashlib.sha256(slug.encode()).digest(),
        created_at=now,
        published_at=now,
    )
    session.add(version)
    session.flush()
    for density in (1, 2, 3):
        session.add(
            TemplateImage(version_id=version.id, kind="icon", density=density, png=_icon(density))
        )
    session.flush()
    return Shop(organisation, programme, pass_type, template)


# A key takes a tenth of a second to make. Shops of one folder have the same, at least at first.
_issued = cache(devcerts.issue_leaf)


def make_signed_shop(session: Session, settings: Settings, pass_type: str, now: datetime) -> Shop:
    """A shop whose passes are of a pass type that has a development certificate."""
    shop = make_shop(session, now)
    with mock.patch.object(devcerts, "issue_leaf", _issued):
        kind = devcerts.create(
            session,
            settings,
            pass_type_identifiers=[pass_type],
            team_identifier="TEST000001",
            now=now,
        )[0]
    session.execute(
        update(PassTemplate)
        .where(col(PassTemplate.id) == shop.template.id)
        .values(pass_type_id=kind.id)
    )
    session.refresh(shop.template)
    return Shop(shop.organisation, shop.programme, kind, shop.template)


@cache
def _icon(density: int) -> bytes:
    packed = BytesIO()
    Image.new("RGB", (38 * density, 38 * density), "#102030").save(packed, "PNG")
    return packed.getvalue()


def make_member(
    session: Session, shop: Shop, now: datetime, name: str = "Анна", phone: str = "+79000001000"
) -> tuple[Card, Pass]:
    """A new member's card and its Apple pass."""
    enrolled = enrol(
        session,
        programme=shop.programme,
        phone=phone,
        first_name=name,
        actor=TILL,
        now=now,
    )
    return enrolled.card, enrolled.passes[0]
