"""From the commit of one changed balance to its push at the push service.

Single changes at odd moments, through publisher and sender as processes of their own. The
figure is how often the median fits into what is allowed, one second: above 1 is good, and the
median is 1 s divided by the ratio. The 99th percentile is printed beside it.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import Final

from sqlalchemy import text

from bench import Result
from bench.pushing import Shop, shop
from walletsvc.jobs.changes import touch

NAME = "push_latency"

ALLOWED_SECONDS: Final = 1.0
_CHANGES: Final = 150
_WARM_UP: Final = 5
_MEMBERS: Final = 1000
_PATIENCE_SECONDS: Final = 60

_CHANGE = text(
    "UPDATE accounts SET balance = balance + 1 WHERE kind = 'customer' AND id ="
    " (SELECT id FROM accounts WHERE kind = 'customer' ORDER BY id OFFSET :n LIMIT 1) RETURNING id"
)


def run() -> Result:
    """The median over single changes, with nothing else to do."""
    dice = random.Random(7)
    with shop(_MEMBERS) as bench, bench.worker("publish", "send"):
        seconds = []
        for number in range(_WARM_UP + _CHANGES):
            seconds.append(_one(bench, number))
            time.sleep(dice.uniform(0, 0.3))
    measured = sorted(seconds[_WARM_UP:])
    median = statistics.median(measured)
    print(
        f"  median {median * 1000:.0f} ms, 99 % within {measured[int(_CHANGES * 0.99)] * 1000:.0f}"
        f" ms, slowest {measured[-1] * 1000:.0f} ms; load of the machine {os.getloadavg()[0]:.1f}"
    )
    return Result(ALLOWED_SECONDS / median, "allowed/median", 1.0)


def _one(bench: Shop, number: int) -> float:
    """Change one balance; seconds from the commit until the sink had accepted the push."""
    before, _ = bench.sink.accepted()
    with bench.installation.database.write_tx() as session:
        accounts = session.execute(_CHANGE, {"n": number}).scalars().all()
        touch(session, "account", accounts, at=bench.installation.clock())
    committed = time.monotonic()
    while time.monotonic() < committed + _PATIENCE_SECONDS:
        time.sleep(0.05)  # asking must not compete with what is measured
        accepted, last = bench.sink.accepted()
        if accepted > before:
            return last - committed
    raise RuntimeError("A push did not come.")
