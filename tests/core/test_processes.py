"""Who a process follows to its end, and who it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

_CHILD = """
import sys, time
from walletsvc.core.processes import die_with_parent
die_with_parent()
print("up", flush=True)
time.sleep(60)
"""


def test_a_program_started_by_hand_outlives_its_shell(tmp_path: Path) -> None:
    """`nohup walletsvc web &` in a script that ends: nobody marked itself as its parent."""
    pid_file = tmp_path / "pid"
    script = f'{sys.executable} -c "$CHILD" > {tmp_path}/out & echo $! > {pid_file}; sleep 2'
    subprocess.run(["bash", "-c", script], env={**os.environ, "CHILD": _CHILD}, check=True)
    pid = int(pid_file.read_text())
    try:
        time.sleep(0.5)  # longer than the kernel's signal would need
        assert (tmp_path / "out").read_text() == "up\n"
        assert b"die_with_parent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        os.kill(pid, 9)
