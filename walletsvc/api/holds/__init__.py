"""Holds: value reserved before a payment is certain."""

from __future__ import annotations

from typing import Final

from walletsvc.api.holds import moving, reading
from walletsvc.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (*reading.OPERATIONS, *moving.OPERATIONS)
