"""Three organisations that accept each other's points and certificates, and short verbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.ledger.shop import Shop, credit, debit, reverse
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger import service
from walletsvc.ledger.models import AccountKind, Transaction, UnitKind
from walletsvc.ledger.settlement import owed, settle_up, undo_settlement
from walletsvc.ledger.statements import Statement, StatementLine, lines, statements
from walletsvc.merchants.models import Organisation
from walletsvc.storage.engine import Database

NAMES = ("hotel", "restaurant", "spa")


@dataclass
class Coalition:
    """Organisations by slug, two units that all of them count in, one holder of each."""

    shop: Shop
    ids: dict[str, int]
    points: int
    roubles: int
    accounts: dict[tuple[str, int], int]

    @property
    def database(self) -> Database:
        """Where it all is."""
        return self.shop.database

    def give(
        self, issuer: str, amount: int, *, at: str | None = None, **options: Any
    ) -> Transaction:
        """The issuer's points (or certificate money), given by `at`."""
        account = self.accounts[issuer, options.pop("unit", self.points)]
        with self.database.write_tx() as session:
            options = {"now": self.shop.now, **options}
            return credit(session, account, amount, acceptor_id=self.ids[at or issuer], **options)

    def redeem(
        self, issuer: str, amount: int, *, at: str | None = None, **options: Any
    ) -> Transaction:
        """The issuer's value, taken by `at`."""
        account = self.accounts[issuer, options.pop("unit", self.points)]
        with self.database.write_tx() as session:
            options = {"now": self.shop.now, **options}
            return debit(session, account, amount, acceptor_id=self.ids[at or issuer], **options)

    def capture(self, issuer: str, amount: int, *, at: str, now: datetime) -> Transaction:
        """The issuer's points, held and then taken by `at`."""
        account = self.accounts[issuer, self.points]
        made = self.shop.hold(account, amount, acceptor_id=self.ids[at], now=now)
        return self.shop.capture(made, now=now)

    def reverse(self, transaction: Transaction, **options: Any) -> Transaction:
        """Undo all or a part."""
        with self.database.write_tx() as session:
            return reverse(session, transaction.id, **{"now": self.shop.now, **options})

    def pay(
        self,
        debtor: str,
        creditor: str,
        amount: int,
        *,
        unit: int | None = None,
        now: datetime | None = None,
        reason: str = "",
    ) -> Transaction:
        """Settle."""
        with self.database.write_tx() as session:
            return settle_up(
                session,
                debtor_id=self.ids[debtor],
                creditor_id=self.ids[creditor],
                unit_id=unit or self.points,
                amount=amount,
                actor=SYSTEM,
                reason=reason,
                now=now or self.shop.now,
            )

    def unpay(self, public_id: str, *, now: datetime | None = None) -> Transaction:
        """Take a settlement back."""
        with self.database.write_tx() as session:
            return undo_settlement(
                session, public_id, actor=SYSTEM, reason="", now=now or self.shop.now
            )

    def owed(self, debtor: str, creditor: str, unit: int | None = None) -> int:
        """What one owes the other now."""
        with self.database.read_tx() as session:
            return owed(
                session,
                debtor_id=self.ids[debtor],
                creditor_id=self.ids[creditor],
                unit_id=unit or self.points,
            )

    def statements(
        self, organisation: str, since: datetime, until: datetime, counterparty: str | None = None
    ) -> list[Statement]:
        """An organisation's statements for a period."""
        with self.database.read_tx() as session:
            return statements(
                session,
                self.ids[organisation],
                since=since,
                until=until,
                counterparty_id=self.ids[counterparty] if counterparty else None,
            )

    def lines(
        self, organisation: str, since: datetime, until: datetime, **options: Any
    ) -> list[StatementLine]:
        """The transactions behind them."""
        with self.database.read_tx() as session:
            found = lines(session, self.ids[organisation], since=since, until=until, **options)
            return list(found)


def open_coalition(shop: Shop) -> Coalition:
    """Three new organisations; each has one points account and one certificate account."""
    with shop.database.write_tx() as session:
        ids = {}
        for name in NAMES:
            organisation = Organisation(slug=name, name=name.title(), created_at=shop.now)
            session.add(organisation)
            session.flush()
            ids[name] = organisation.id
        points = service.ensure_unit(session, code="points:all", kind=UnitKind.POINTS, scale=0).id
        kinds = {points: AccountKind.CUSTOMER, shop.roubles_id: AccountKind.CERTIFICATE}
        accounts = {
            (name, unit): service.open_account(
                session, organisation_id=ids[name], unit_id=unit, kind=kind, now=shop.now
            ).id
            for name in NAMES
            for unit, kind in kinds.items()
        }
    return Coalition(shop, ids, points, shop.roubles_id, accounts)
