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


def test_what_there_is_at_the_start_is_not_looked_through_again() -> None:
    """In a process of its own: it cannot be undone."""
    subprocess.run([sys.executable, "-c", _CODE], check=True, timeout=60)
