"""What a process does with its memory when it has started."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import gc
from walletsvc.core.processes import keep_what_there_is, share_one_heap
share_one_heap()
before = len(gc.get_objects())
keep_what_there_is()
assert gc.isenabled() and gc.get_freeze_count() > 0
assert len(gc.get_objects()) < before / 10
"""


_IMPORT = """
import gc
from walletsvc.core.processes import keeping_all
before = gc.get_stats()
with keeping_all():
    made = [[] for _ in range(10_000)]
assert gc.get_stats() == before
assert gc.isenabled() and gc.get_freeze_count() >= 10_000
"""


def test_a_program_is_imported_without_collecting() -> None:
    """And what was imported stays; in a process of its own, since it cannot be undone."""
    subprocess.run([sys.executable, "-c", _IMPORT], check=True, timeout=60)


def test_what_there_is_at_the_start_is_not_looked_through_again() -> None:
    """In a process of its own, too."""
    subprocess.run([sys.executable, "-c", _CODE], check=True, timeout=60)
