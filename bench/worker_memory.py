"""What the worker needs for ten times as many changed passes: 10,000, then 100,000.

The processes that publish and send run as in production. The figure is the memory of the one
that grew most, as `value` after 10,000 and as `limit` after 100,000: the ratio is 1 when
nothing grew, and 0.833 when it grew by a fifth.
"""

from __future__ import annotations

import time

from bench import Result
from bench.push_e2e import change
from bench.pushing import COUNT, shop

NAME = "worker_memory"

_FEW = COUNT // 10


def run() -> Result:
    """The resident memory after few and after many changes, of the part that grew most."""
    with shop() as bench, bench.worker("publish", "send"):
        change(bench, _FEW)
        few = bench.memory()
        change(bench, COUNT)
        while bench.queued():
            time.sleep(0.05)
        many = bench.memory()
    before, after = min(zip(few, many, strict=True), key=lambda pair: pair[0] / pair[1])
    return Result(before / 1024, "MiB", after / 1024)
