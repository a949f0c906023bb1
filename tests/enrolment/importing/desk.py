"""A shop with tiers that takes a base of cards in; each verb opens transactions of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from tests.factories import Shop, make_shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment.importing import service
from walletsvc.enrolment.importing.models import Import, ImportRow
from walletsvc.enrolment.importing.tasks import handlers
from walletsvc.jobs.bulk import BulkJob, BulkState
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger.verify import differences
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.storage.engine import Database

BOOK: dict[str, Any] = {
    "tiers": [
        {"code": "bronze", "name": {"ru": "Бронза", "en": "Bronze"}, "threshold": 0},
        {"code": "gold", "name": {"ru": "Золото", "en": "Gold"}, "threshold": 100_000},
    ],
    "earn": {"percent_by_tier": {"bronze": "5", "gold": "10"}},
    "lifetime": {"months": 12},
}


@dataclass
class Desk:
    """Short forms of the use cases."""

    database: Database
    shop: Shop
    now: datetime
    raw: dict[int, bytes] = field(default_factory=dict)

    def work(self, size: int | None = None) -> None:
        """Do all jobs to their end."""
        runner = Runner(self.database, handlers(), clock=lambda: self.now)
        if size:
            runner._sizes.update(dict.fromkeys(handlers(), size))
            runner._adapt = lambda *_: None  # type: ignore[method-assign]
        self.turn(runner)
        with self.database.read_tx() as session:
            for job in session.exec(select(BulkJob)):
                assert job.state is BulkState.DONE, job.problem

    def turn(self, runner: Runner | None = None) -> None:
        """Do what there is to do, while another worker has perhaps a job of its own."""
        working = runner or Runner(self.database, handlers(), clock=lambda: self.now)
        while working.run_once() == 0:
            pass

    def check(self, raw: str | bytes, size: int | None = None, **options: Any) -> Import:
        """The dry run of a list."""
        sent = raw.encode() if isinstance(raw, str) else raw
        with self.database.write_tx() as session:
            found = service.begin(
                session,
                programme=self.shop.programme,
                raw=sent,
                **{"reason": "Old base", "actor": OPERATOR, "now": self.now, **options},
            )
        self.raw[found.id] = sent
        self.work(size)
        return self.read(found)

    def run(self, found: Import, size: int | None = None) -> Import:
        """The run of what was looked through."""
        self.start(found)
        self.work(size)
        return self.read(found)

    def start(self, found: Import) -> None:
        """Have the run begin with the next turn."""
        with self.database.write_tx() as session:
            service.run(
                session,
                found,
                expected_total=found.figures["ready_balance"],
                digest=hashlib.sha256(self.raw[found.id]).digest(),
                actor=OPERATOR,
                now=self.now,
            )

    def undo(self, found: Import, size: int | None = None) -> Import:
        """Its undoing."""
        with self.database.write_tx() as session:
            service.undo(session, found, actor=OPERATOR, now=self.now)
        self.work(size)
        return self.read(found)

    def read(self, found: Import) -> Import:
        """As it is now."""
        with self.database.read_tx() as session:
            return service.find(session, found.public_id)

    def outcomes(self, found: Import) -> dict[int, str]:
        """By row."""
        with self.database.read_tx() as session:
            rows = session.exec(select(ImportRow).where(ImportRow.import_id == found.id))
            return {row.row: row.outcome.value for row in rows}

    def problems(self, found: Import) -> dict[int, list[str]]:
        """Columns and codes by row."""
        with self.database.read_tx() as session:
            rows = session.exec(select(ImportRow).where(ImportRow.import_id == found.id))
            return {
                row.row: [f"{column}:{code}" for column, code, _ in row.problems]
                for row in rows
                if row.problems
            }

    def ask(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        with self.database.read_tx() as session:
            return [tuple(row) for row in session.execute(text(statement), values)]

    def clean(self) -> bool:
        """Whether the whole ledger agrees with itself."""
        with self.database.read_tx() as session:
            return list(differences(session, LEDGER_CHECKS)) == []

    def balances(self) -> list[tuple[Any, ...]]:
        """Open cards by holder: number of numbers, balance, tier, base."""
        return self.ask("""
            SELECT trim(n.first_name || ' ' || n.last_name),
                   array(SELECT number FROM plastic_numbers x WHERE x.card_id = c.id ORDER BY 1),
                   a.balance, t.tier, coalesce(t.base, 0)
              FROM cards c JOIN persons n ON n.id = c.person_id
              JOIN accounts a ON a.id = c.account_id
              LEFT JOIN account_tiers t ON t.account_id = a.id
             WHERE c.closed_at IS NULL ORDER BY 1, 2
        """)


def open_desk(database: Database, now: datetime) -> Desk:
    """With rules published."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        book = RuleBook.model_validate(BOOK)
        versions.save_draft(session, shop.programme, book, OPERATOR, "", now)
        versions.publish(session, shop.programme, OPERATOR, now)
    return Desk(database, shop, now)
