"""Gift certificates: issuing, looking up, redeeming, and all that may become of one."""

from __future__ import annotations

from typing import Final

from walletsvc.api.certificates import batches, issuing, life, listing, money, reading, undoing
from walletsvc.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *issuing.OPERATIONS,
    *listing.OPERATIONS,
    *reading.OPERATIONS,
    *money.OPERATIONS,
    *life.OPERATIONS,
    *undoing.OPERATIONS,
    *batches.OPERATIONS,
)
