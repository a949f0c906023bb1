"""The sender alone: 100,000 queued pushes, over a bare multiplexed loop to the same sink."""

from __future__ import annotations

import time

from sqlalchemy import text

from bench import Result
from bench.pushing import COUNT, Shop, bare_rate, shop
from walletsvc.apple.dialect import PUSHES
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import signal

NAME = "push_send"

_QUEUE = text(
    "INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts, created_at)"
    " SELECT id, :pass_type, :lane, :now, 0, :now FROM devices ORDER BY id LIMIT :count"
)


def run() -> Result:
    """From the commit of the queue to the last push that was accepted."""
    with shop() as bench:
        before = bare_rate(bench.sink)
        with bench.worker("send"):
            _send(bench, 100)  # the process is up and connected
            seconds = _send(bench, COUNT)
            while bench.queued():
                time.sleep(0.05)
        after = bare_rate(bench.sink)
    return Result(COUNT / seconds, "pushes/s", (before + after) / 2)


def _send(bench: Shop, count: int) -> float:
    """Queue pushes and wait until they were accepted; the seconds that it took."""
    accepted, _ = bench.sink.accepted()
    with bench.installation.database.write_tx() as session:
        session.execute(
            _QUEUE,
            {
                "pass_type": bench.pass_type_id,
                "lane": int(Lane.BULK),
                "now": bench.installation.clock(),
                "count": count,
            },
        )
        signal(session, PUSHES)
    started = time.monotonic()
    return bench.await_accepted(accepted + count) - started
