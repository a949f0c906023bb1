"""Several verbs at once on accounts that this transaction holds: one look, one round trip.

A sale takes points and certificates and gives points. Verb by verb each would lock, look and
write for itself; here the caller locks all accounts first (`accounts.Locking`), reads what
`HOLDINGS` selects with whatever else it asks for, and everything is written together. The rules
are those of the single verbs.
"""

from walletsvc.ledger.together.holdings import (
    HOLDINGS,
    HOLDINGS_WITHOUT_HOLDS,
    HeldLot,
    Numbers,
    Reserved,
    holds_of,
    lots_of,
)
from walletsvc.ledger.together.verbs import Known, Outlook, Together

__all__ = [
    "HOLDINGS",
    "HOLDINGS_WITHOUT_HOLDS",
    "HeldLot",
    "Known",
    "Numbers",
    "Outlook",
    "Reserved",
    "Together",
    "holds_of",
    "lots_of",
]
