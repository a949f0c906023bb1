"""What a long past costs: posting and explaining with 10 thousand accounts and with 2 million.

The large books hold 20 million entries. Each figure is the median time of one operation in the
small books over that in the large ones; 1 would be no growth at all, 1.3 times is allowed.
The time of `ledger verify` over the large books is printed beside it.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from bench import Result
from bench.books import Books, books, fill
from walletsvc.core.actor import Actor
from walletsvc.core.clock import utcnow
from walletsvc.ledger.queries import explain
from walletsvc.ledger.service import credit, debit
from walletsvc.ledger.verify import counts, differences

NAME = "ledger_growth"

_SMALL: Final = 10_000
_LARGE: Final = 2_000_000
_CREDITS: Final = 5  # two entries each: 20 million in the large books
_TIMES: Final = 3_000
_GROWTH: Final = 1.3
_TILL: Final = Actor("till", "bench")


def run() -> dict[str, Result]:
    """Posting and explaining, in milliseconds, over what they may cost."""
    with books() as found:
        accounts = fill(found, 1, _SMALL, credits_each=_CREDITS)
        small = _measure(found, accounts)
        accounts += fill(found, _SMALL + 1, _LARGE, credits_each=_CREDITS)
        large = _measure(found, accounts)
        _verify(found)
    return {
        f"{NAME}_{name}": Result(large[name], "ms", small[name] * _GROWTH, lower_is_better=True)
        for name in small
    }


def _measure(found: Books, accounts: Sequence[int]) -> dict[str, float]:
    database = found.installation.database
    dice = random.Random(7)

    def post() -> None:
        account = dice.choice(accounts)
        with database.write_tx() as session:
            credit(session, account, 100, source="purchase", actor=_TILL, reason="Покупка",
                   now=utcnow(), expires_at=utcnow() + timedelta(days=1000))  # fmt: skip
        with database.write_tx() as session:
            debit(session, account, 100, actor=_TILL, reason="Оплата", now=utcnow())

    def look() -> None:
        with database.read_tx() as session:
            explain(session, dice.choice(accounts))

    return {"post": _median(post), "explain": _median(look)}


def _median(operation: Callable[[], None]) -> float:
    """Milliseconds of the operation in the middle; the first tenth warms the caches."""
    times = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        operation()
        times.append(time.perf_counter() - started)
    return statistics.median(times[_TIMES // 10 :]) * 1000


def _verify(found: Books) -> None:
    started = time.monotonic()
    with found.installation.database.read_tx() as session:
        wrong = list(differences(session))
        seen = counts(session)
    if wrong:
        raise RuntimeError(f"The seeded books are wrong: {wrong[0]}")
    print(f"ledger verify: {seen.entries:,} entries in {time.monotonic() - started:.0f} s")
