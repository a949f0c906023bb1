"""A shop with rules, cards and purchases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlmodel import Session

from tests.factories import TILL, Shop, make_member, make_shop
from walletsvc.cards.models import Card
from walletsvc.ledger import service as ledger
from walletsvc.programmes import versions
from walletsvc.programmes.models import RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers import service
from walletsvc.programmes.tiers.models import AccountTier, TierCause, TierChange
from walletsvc.storage.engine import Database

MOSCOW = ZoneInfo("Europe/Moscow")


@dataclass
class Club:
    """One shop; every verb is a transaction of its own."""

    database: Database
    shop: Shop
    now: datetime
    members: int = 0

    def publish(self, rules: RuleBook, now: datetime | None = None) -> RuleVersion:
        """Save and publish."""
        with self.database.write_tx() as session:
            moment = now or self.now
            versions.save_draft(session, self.shop.programme, rules, TILL, "", moment)
            return versions.publish(session, self.shop.programme, TILL, moment)

    def card(self) -> Card:
        """A new member's card."""
        self.members += 1
        with self.database.write_tx() as session:
            phone = f"+7900{self.members:07}"
            return make_member(session, self.shop, self.now, f"Имя {self.members}", phone)[0]

    def buy(
        self, card: Card, amount: int, *, days_ago: int = 0, organisation_id: int | None = None
    ) -> TierChange | None:
        """Buy for so much, as a purchase does it: lock, count, reconsider."""
        with self.database.write_tx() as session:
            return bought(session, self, card, amount, days_ago, organisation_id)

    def tier(self, card: Card) -> str | None:
        """The stored tier of the card's account; "-" without a row."""
        with self.database.read_tx() as session:
            account = session.execute(
                text("SELECT account_id FROM cards WHERE id = :id"), {"id": card.id}
            ).scalar_one()
            row = session.get(AccountTier, account)
            return row.tier if row else "-"

    def changes(self) -> list[tuple[str | None, str | None, TierCause]]:
        """All changes of tiers, in order."""
        with self.database.read_tx() as session:
            rows = session.execute(
                text("SELECT from_tier, to_tier, cause FROM tier_changes ORDER BY id")
            )
            return [(row.from_tier, row.to_tier, TierCause(row.cause)) for row in rows]

    def touched(self) -> list[int]:
        """Accounts in the change log, which is emptied."""
        with self.database.write_tx() as session:
            rows = session.execute(
                text("DELETE FROM changes WHERE topic = 'account' RETURNING key")
            )
            return sorted(rows.scalars())

    def day(self, days_ago: int = 0) -> date:
        """A local day of the programme."""
        return self.now.astimezone(MOSCOW).date() - timedelta(days=days_ago)


def bought(
    session: Session,
    club: Club,
    card: Card,
    amount: int,
    days_ago: int = 0,
    organisation_id: int | None = None,
) -> TierChange | None:
    """The part of a purchase that tiers know, inside a transaction."""
    account = ledger.lock(session, [card.account_id], now=club.now)[card.account_id].id
    organisation_id = organisation_id or club.shop.organisation.id
    service.add_turnover(session, account, organisation_id, club.day(days_ago), amount)
    return service.reconsider(session, account, club.shop.programme, club.now, TierCause.PURCHASE)


def open_club(database: Database, now: datetime) -> Club:
    """A shop without rules yet."""
    with database.write_tx() as session:
        return Club(database, make_shop(session, now), now)
