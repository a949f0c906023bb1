"""From a changed balance to the push: 100,000 registered passes change in one commit.

Everything in between runs as in production: the process that publishes and the one that
sends, an embedded database, real certificates. The limit is a bare multiplexed loop to the
same sink, before and after.
"""

from __future__ import annotations

import time

from sqlalchemy import text

from bench import Result
from bench.pushing import COUNT, Shop, bare_rate, shop
from walletsvc.jobs.changes import Lane, touch

NAME = "push_e2e"

_CHANGE = text(
    "UPDATE accounts SET balance = balance + 1 WHERE kind = 'customer' AND id IN"
    " (SELECT id FROM accounts WHERE kind = 'customer' ORDER BY id LIMIT :count) RETURNING id"
)


def run() -> Result:
    """From the commit of the change to the last push that was accepted."""
    with shop() as bench:
        before = bare_rate(bench.sink)
        with bench.worker("publish", "send"):
            change(bench, 100)  # both processes are up and connected
            seconds = change(bench, COUNT)
            while bench.queued():
                time.sleep(0.05)
        after = bare_rate(bench.sink)
    return Result(COUNT / seconds, "pushes/s", (before + after) / 2)


def change(bench: Shop, count: int) -> float:
    """Change balances and wait until all holders were pushed; the seconds that it took."""
    accepted, _ = bench.sink.accepted()
    with bench.installation.database.write_tx() as session:
        accounts = session.execute(_CHANGE, {"count": count}).scalars().all()
        touch(session, "account", accounts, at=bench.installation.clock(), lane=Lane.BULK)
    started = time.monotonic()
    return bench.await_accepted(accepted + count) - started
