"""The till's calls: scan, quote, purchase, refund, correct."""

from typing import Final

from walletsvc.api.operations import Operation
from walletsvc.api.sales import histories, purchases, quotes, refunds, scans

OPERATIONS: Final[tuple[Operation, ...]] = (
    *scans.OPERATIONS,
    *quotes.OPERATIONS,
    *purchases.OPERATIONS,
    *refunds.OPERATIONS,
    *histories.OPERATIONS,
)
