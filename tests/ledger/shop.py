"""What ledger tests need around them: an organisation, units, short verbs, a look inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.actor import SYSTEM
from walletsvc.ledger import queries, service
from walletsvc.ledger.models import AccountKind, Hold, Transaction, UnitKind
from walletsvc.ledger.verify import differences
from walletsvc.merchants.models import Organisation
from walletsvc.storage.engine import Database

TABLES = (
    "accounts",
    "ledger_units",
    "ledger_transactions",
    "ledger_entries",
    "lots",
    "lot_movements",
    "holds",
    "hold_lots",
    "changes",
    "idempotency_keys",
)


@dataclass
class Shop:
    """Short forms of the ledger's verbs; each opens a transaction of its own."""

    database: Database
    now: datetime
    organisation_id: int
    points_id: int
    roubles_id: int

    def account(self, *, min_balance: int = 0) -> int:
        """A new points account."""
        return self._open(self.points_id, AccountKind.CUSTOMER, min_balance)

    def certificate(self) -> int:
        """A new account for certificate money."""
        return self._open(self.roubles_id, AccountKind.CERTIFICATE, 0)

    def _open(self, unit_id: int, kind: AccountKind, min_balance: int) -> int:
        with self.database.write_tx() as session:
            return service.open_account(
                session,
                organisation_id=self.organisation_id,
                unit_id=unit_id,
                kind=kind,
                now=self.now,
                min_balance=min_balance,
            ).id

    def days(self, days: float) -> datetime:
        """So many days from now."""
        return self.now + timedelta(days=days)

    def credit(self, account_id: int, amount: int, **kwargs: Any) -> Transaction:
        """Credit with defaults."""
        with self.database.write_tx() as session:
            return credit(session, account_id, amount, **{"now": self.now, **kwargs})

    def debit(self, account_id: int, amount: int, **kwargs: Any) -> Transaction:
        """Debit with defaults."""
        with self.database.write_tx() as session:
            return debit(session, account_id, amount, **{"now": self.now, **kwargs})

    def reverse(self, transaction: Transaction, **kwargs: Any) -> Transaction:
        """Reverse with defaults."""
        with self.database.write_tx() as session:
            return reverse(session, transaction.id, **{"now": self.now, **kwargs})

    def hold(self, account_id: int, amount: int, **kwargs: Any) -> Hold:
        """Hold for a quarter of an hour unless said otherwise."""
        given = {"acceptor_id": self.organisation_id, "now": self.now, **kwargs}
        with self.database.write_tx() as session:
            return hold(session, account_id, amount, **given)

    def capture(self, hold: Hold, amount: int | None = None, **kwargs: Any) -> Transaction:
        """Capture with defaults."""
        with self.database.write_tx() as session:
            given = {"actor": SYSTEM, "reason": "", "now": self.now, **kwargs}
            return service.capture(session, hold.id, amount, **given)

    def void(self, hold: Hold, now: datetime | None = None) -> Hold:
        """Void with defaults."""
        with self.database.write_tx() as session:
            return service.void(session, hold.id, now=now or self.now)

    def explain(self, account_id: int) -> queries.Explanation:
        """What is behind a balance, as it is stored."""
        with self.database.read_tx() as session:
            return queries.explain(session, account_id)

    def merge(self, source_id: int, target_id: int, **kwargs: Any) -> Transaction | None:
        """Merge with defaults."""
        given = {"actor": SYSTEM, "reason": "", "now": self.now, **kwargs}
        with self.database.write_tx() as session:
            return service.merge(session, source_id, target_id, **given)

    def transfer(self, source_id: int, target_id: int, amount: int, **kwargs: Any) -> Transaction:
        """Transfer with defaults."""
        given = {"actor": SYSTEM, "reason": "", "now": self.now, **kwargs}
        with self.database.write_tx() as session:
            return service.transfer(session, source_id, target_id, amount, **given)

    def balance(self, account_id: int) -> int:
        """The stored balance."""
        with self.database.read_tx() as session:
            return queries.balance(session, account_id)

    def remaining(self, account_id: int) -> list[int]:
        """What is left of every lot of an account, oldest lot first."""
        found = self.all(
            "SELECT remaining FROM lots WHERE account_id = :a ORDER BY id", a=account_id
        )
        return [row[0] for row in found]

    def all(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of any statement."""
        with self.database.read_tx() as session:
            return [tuple(row) for row in session.execute(text(statement), parameters)]

    def differences(self) -> list[str]:
        """What `ledger verify` would name."""
        with self.database.read_tx() as session:
            return list(differences(session))

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """The whole ledger, to compare before and after."""
        return {table: self.all(f"SELECT * FROM {table} ORDER BY 1") for table in TABLES}


def open_shop(database: Database, now: datetime) -> Shop:
    """An organisation with a points unit and a currency, in an empty database."""
    with database.write_tx() as session:
        organisation = Organisation(slug="bakery", name="Пекарня", created_at=now)
        session.add(organisation)
        session.flush()
        points = service.ensure_unit(session, code="points:bakery", kind=UnitKind.POINTS, scale=0)
        roubles = service.ensure_unit(session, code="RUB", kind=UnitKind.CURRENCY, scale=2)
        return Shop(database, now, organisation.id, points.id, roubles.id)


def credit(session: Session, account_id: int, amount: int, **kwargs: Any) -> Transaction:
    """`service.credit` with defaults for what a test does not care about."""
    given = {"source": "purchase", "actor": SYSTEM, "reason": "", **kwargs}
    return service.credit(session, account_id, amount, **given)


def debit(session: Session, account_id: int, amount: int, **kwargs: Any) -> Transaction:
    """`service.debit` with defaults."""
    given = {"actor": SYSTEM, "reason": "", **kwargs}
    return service.debit(session, account_id, amount, **given)


def hold(session: Session, account_id: int, amount: int, **kwargs: Any) -> Hold:
    """`service.hold` with defaults, for a quarter of an hour."""
    ends = kwargs["now"] + timedelta(minutes=15)
    given = {"actor": SYSTEM, "reason": "", "expires_at": ends, **kwargs}
    return service.hold(session, account_id, amount, **given)


def reverse(session: Session, transaction_id: int, **kwargs: Any) -> Transaction:
    """`service.reverse` with defaults."""
    given = {"actor": SYSTEM, "reason": "", **kwargs}
    return service.reverse(session, transaction_id, **given)
