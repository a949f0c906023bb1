"""One credit of a million cards, over the same rows written by bare statements.

The job runs as the worker runs it: piece by piece, each a transaction that locks accounts,
posts to each and notes the change. The limit writes rows of the same tables for as many
accounts in one go: `INSERT … SELECT` into each table and one `UPDATE` of the accounts.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from bench import Result
from bench.books import Books, books, fill
from walletsvc.app import bulk_runner
from walletsvc.cards import bulk_credit
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger.models import SystemCode
from walletsvc.ledger.service import system_account

NAME = "bulk_credit"

_CARDS: Final = 1_000_000
_MEMORY_AT: Final = 100_000  # memory after so many cards, against memory at the end

_BARE: Final = """
INSERT INTO ledger_transactions (public_id, organisation_id, type, actor, reason, at)
SELECT 'bare' || id, organisation_id, 'credit', 'system:walletsvc', 'Подарок', now()
  FROM accounts WHERE kind = 'customer';

INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
SELECT t.id, a.id, a.unit_id, 50, a.balance + 50
  FROM accounts a JOIN ledger_transactions t ON t.public_id = 'bare' || a.id
UNION ALL
SELECT t.id, :issuance, a.unit_id, -50, NULL
  FROM accounts a JOIN ledger_transactions t ON t.public_id = 'bare' || a.id;

INSERT INTO lots (account_id, transaction_id, matured_id, original, remaining, held, source,
    promotional, earned_at, available_from)
SELECT a.id, t.id, t.id, 50, 50, 0, 'bulk-credit', false, now(), now()
  FROM accounts a JOIN ledger_transactions t ON t.public_id = 'bare' || a.id;

INSERT INTO changes (topic, key, lane, at)
SELECT 'account', id, 1, now() FROM accounts WHERE kind = 'customer';

UPDATE accounts SET balance = balance + 50 WHERE kind = 'customer'
"""


def run() -> dict[str, Result]:
    """Cards per second of both, and the memory of the process that did it."""
    with books() as found:
        fill(found, 1, _CARDS, credits_each=0)
        limit = _bare(found)
        rate, early, late = _job(found)
    return {
        NAME: Result(rate, "cards/s", limit),
        f"{NAME}_memory": Result(late, "MiB", early * 1.2, lower_is_better=True),
    }


def _bare(found: Books) -> float:
    database = found.installation.database
    with database.write_tx() as session:
        values = {"issuance": _issuance(session, found)}
    started = time.monotonic()
    with database.write_tx() as session:
        for statement in _BARE.split(";"):
            session.execute(text(statement), values)
    seconds = time.monotonic() - started
    with database.engine.connect() as connection:
        outside = connection.execution_options(isolation_level="AUTOCOMMIT")
        outside.execute(text("TRUNCATE changes"))
        outside.execute(text("VACUUM ANALYZE"))
    return _CARDS / seconds


def _issuance(session: Session, found: Books) -> int:
    return system_account(
        session,
        organisation_id=found.organisation_id,
        unit_id=found.programme.unit_id,
        code=SystemCode.ISSUANCE,
        now=found.installation.clock(),
    )


def _job(found: Books) -> tuple[float, float, float]:
    """Cards per second, and MiB of this process early in the job and at its end."""
    installation = found.installation
    runner = bulk_runner(installation)
    started = time.monotonic()
    with installation.database.write_tx() as session:
        bulk_credit.begin(
            session,
            programme=found.programme,
            amount=50,
            reason="Подарок",
            actor=SYSTEM,
            now=installation.clock(),
        )
    early = 0.0
    while runner.run_once() == 0.0:
        if not early and _done(found) >= _MEMORY_AT:
            early = _memory()
    seconds = time.monotonic() - started
    if _done(found) < _CARDS:
        raise RuntimeError("The job stopped before its end.")
    return _CARDS / seconds, early, _memory()


def _done(found: Books) -> int:
    with found.installation.database.read_tx() as session:
        return int(
            session.execute(text("SELECT coalesce(max(done), 0) FROM bulk_jobs")).scalar_one()
        )


def _memory() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
