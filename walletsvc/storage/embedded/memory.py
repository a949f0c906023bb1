"""How much memory the embedded server may keep pages in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MIB: Final = 1024 * 1024
_LEAST: Final = 128 * _MIB
_MOST: Final = 4096 * _MIB
# Where a container's limit is told: the newer and the older form of control groups.
_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def shared_buffers(memory: int | None = None) -> str:
    """PostgreSQL's setting for `memory` bytes, by default those of this machine or container.

    A quarter, as its manual advises: with the default of 128 MB, books of millions of lots are
    read from the system's cache again and again. Memory is taken only as pages are read.
    """
    quarter = (_memory() if memory is None else memory) // 4
    return f"{min(max(quarter, _LEAST), _MOST) // _MIB}MB"


def _memory() -> int:
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([installed, *(_limit(path) for path in _LIMITS if path.exists())])


def _limit(path: Path) -> int:
    told = path.read_text().strip()
    return int(told) if told.isdigit() else 1 << 62  # "max": there is none
