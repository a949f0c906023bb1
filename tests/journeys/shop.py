"""A shop for journeys: members whose passes are signed for, on whatever database is open."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import col, select, update

from tests.emulators.phone.handmade import png
from tests.factories import Shop, make_member, make_shop
from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key
from walletsvc.app import Installation
from walletsvc.apple import devcerts
from walletsvc.cards.models import Card
from walletsvc.passes.models import Pass, PassTemplate, TemplateImage, TemplateVersion

PASS_TYPE = "pass.test.journey"


@dataclass(frozen=True)
class Journey:
    """The shop, its members and an API key with all scopes."""

    members: list[tuple[Card, Pass]]
    key: str


def open_shop(installation: Installation, members: int) -> Journey:
    """Make the shop with so many members, as they would be after enrolment."""
    now = installation.clock()
    with installation.database.write_tx() as session:
        shop = make_shop(session, now)
        kind = devcerts.create(
            session,
            installation.settings,
            pass_type_identifiers=[PASS_TYPE],
            team_identifier="TEST000001",
            now=now,
        )[0]
        session.execute(
            update(PassTemplate)
            .where(col(PassTemplate.id) == shop.template.id)
            .values(pass_type_id=kind.id)
        )
        shop = Shop(shop.organisation, shop.programme, kind, shop.template)
        session.refresh(shop.template)
        version = session.exec(select(TemplateVersion)).one()
        for density in (1, 2, 3):
            image = png(38 * density)
            session.merge(
                TemplateImage(version_id=version.id, kind="icon", density=density, png=image)
            )
        _, key = create_key(
            session,
            organisation_id=shop.organisation.id,
            name="journey",
            scopes=sorted(SCOPES),
            branch_id=None,
            now=now,
        )
        made = [
            make_member(session, shop, now, name=f"Анна{n}", phone=f"+7900000{n:04}")
            for n in range(members)
        ]
    return Journey(made, key)
