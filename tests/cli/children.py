"""Child processes to supervise, each with manners of its own."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable

# Notes each SIGTERM in its file and ends at the first one.
POLITE = """
import signal, sys
from pathlib import Path
from walletsvc.core.processes import die_with_parent
note = Path(sys.argv[1])
def end(*_):
    with note.open("a") as file:
        file.write("asked ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
die_with_parent()
note.write_text("ready ")
signal.pause()
"""
STUBBORN = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path(sys.argv[1]).write_text("ready ")
while True:
    signal.pause()
"""
FRAIL = """
import sys, time
from pathlib import Path
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
sys.exit(3)
"""
# Dies of argv[2] at its first two starts, then lives; counts its starts in the file.
MORTAL = """
import os, signal, sys
from pathlib import Path
count = Path(sys.argv[1])
with count.open("a") as file:
    file.write("+")
if len(count.read_text()) < 3:
    exec(sys.argv[2])
signal.pause()
"""
# A supervisor to be killed. Every process holds the write end of the pipe named by argv[1].
DOOMED = """
import sys
from walletsvc.cli.supervise import Supervisor
child = '''
import signal, sys
from pathlib import Path
from walletsvc.core.processes import die_with_parent
held = open(sys.argv[1], "wb", buffering=0)
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
die_with_parent(grace=0.2)
held.write(b"+")
while True:
    signal.pause()
'''
with Supervisor() as supervisor:
    for name in ("polite", "stubborn"):
        supervisor.start(name, [sys.executable, "-c", child, sys.argv[1], name])
    supervisor.run_until_signal()
"""


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_bytes(reader: int, count: int, seconds: float = 20) -> bytes:
    """What arrives in a pipe, up to `count` bytes; less when nobody can write any more."""
    poll = select.poll()
    poll.register(reader, select.POLLIN | select.POLLHUP)
    received = b""
    while len(received) < count:
        assert poll.poll(seconds * 1000), "waited in vain"
        chunk = os.read(reader, count - len(received))
        if not chunk:
            break
        received += chunk
    return received
