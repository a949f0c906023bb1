"""What a worker costs that has nothing to do: `walletsvc worker` with all its parts.

The figure is how often the used processor time fits into what is allowed, one per cent of a
core: above 1 is good, and the used share is 1 % divided by the ratio. The database's own
processes are told apart and not part of it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import Result
from bench.pushing import Shop, shop
from walletsvc.app import CHANNELS
from walletsvc.cli.run import command_line
from walletsvc.jobs.presence import present

NAME = "idle_cpu"

ALLOWED_PER_CENT: Final = 1.0
_SECONDS: Final = 40.0
_SETTLE_SECONDS: Final = 10.0
_MEMBERS: Final = 1000
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def run() -> Result:
    """Processor time of supervisor, publisher, sender and job worker while nothing happens."""
    with shop(_MEMBERS) as bench, _worker(bench) as pid:
        time.sleep(_SETTLE_SECONDS)
        family = _family(pid)
        before = {process: _cpu_seconds(process) for process in family}
        started = time.monotonic()
        time.sleep(_SECONDS)
        seconds = time.monotonic() - started
        used = {process: _cpu_seconds(process) - before[process] for process in family}
        for process, amount in used.items():
            print(f"  {amount / seconds * 100:.2f} % of a core: {_words(process)}")
    share = sum(used.values()) / seconds * 100
    print(f"  {share:.2f} % of a core in all; load of the machine {os.getloadavg()[0]:.1f}")
    return Result(ALLOWED_PER_CENT / max(share, 0.001), "allowed/used", 1.0)


@contextmanager
def _worker(bench: Shop) -> Iterator[int]:
    process = subprocess.Popen(command_line("worker"), env=bench.environment)
    try:
        while not _complete(bench):
            if process.poll() is not None:
                raise RuntimeError("The worker ended.")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def _complete(bench: Shop) -> bool:
    with bench.installation.database.read_tx() as session:
        return all(present(session, CHANNELS).values())


def _family(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grandchild for child in children for grandchild in _family(int(child)))]


def _cpu_seconds(pid: int) -> float:
    # After the name, which may hold spaces: fields 14 and 15 are user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _words(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().strip("\0").split("\0")
    return " ".join(words[words.index("walletsvc") :])
