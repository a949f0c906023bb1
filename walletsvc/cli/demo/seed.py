"""A believable shop and its past: forty guests, a family, certificates, a partner."""

from __future__ import annotations

from typing import Final

from sqlmodel import Session, select

from walletsvc.app import Installation
from walletsvc.apple import devcerts
from walletsvc.cli.demo import book, doors, family, gifts, guests
from walletsvc.cli.demo.shop import SLUG, Shop, find, found
from walletsvc.cli.run import ROOT
from walletsvc.core.errors import Conflict
from walletsvc.ledger import due
from walletsvc.merchants.models import Organisation
from walletsvc.passes import templates

TEAM: Final = "WSVCDEMO01"
PASS_TYPES: Final = ("pass.demo.walletsvc.loyalty", "pass.demo.walletsvc.gift")


def seed(installation: Installation) -> Shop:
    """Found the shop and live its past, or find it when an earlier demo did.

    All in one transaction; nothing is due afterwards. Raises Conflict for the shop of a version
    that had no partner yet.
    """
    now = installation.clock()
    with installation.database.write_tx() as session:
        shop = find(session)
        if shop is not None:
            book.publish(session, shop, now)  # a shop of before there were rules
            doors.open_to_all(session, shop, now)  # or a form
            return shop
        if session.exec(select(Organisation.id).where(Organisation.slug == SLUG)).first():
            raise Conflict(
                f"The demo shop in {installation.settings.data_dir} is an older version's."
                " Remove that folder to begin anew."
            )
        shop = found(session, now)
        _publish(session, installation, shop)
        book.publish(session, shop, shop.loyalty.created_at)
        doors.open_to_all(session, shop, shop.loyalty.created_at)
        guests.live(session, shop, now)
        family.live(session, shop, now)
        gifts.live(session, shop, now)
        # Each did so for its own; whoever adds to the past must not be able to forget it.
        due.settle(session, due.accounts(session, now), now)
        return shop


def _publish(session: Session, installation: Installation, shop: Shop) -> None:
    """Certificates as Apple's, and the templates of both programmes that have passes."""
    now = installation.clock()
    kinds = devcerts.create(
        session,
        installation.settings,
        pass_type_identifiers=PASS_TYPES,
        team_identifier=TEAM,
        now=now,
    )
    for programme, kind, folder in (
        (shop.loyalty, kinds[0], "loyalty"),
        (shop.gift, kinds[1], "gift"),
    ):
        templates.publish(
            session,
            programme_id=programme.id,
            pass_type_id=kind.id,
            template=templates.load(ROOT / "pass_templates" / folder),
            dialects=installation.publisher.dialects,
            now=now,
        )
