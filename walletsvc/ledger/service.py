"""The ledger's verbs. Each runs inside the caller's transaction and takes the time from it.

A balance counts every matured lot, so `sum of lots == max(balance, 0)` on a holder's account
at any moment. A lot past its end stays in the balance until it is written off, but is skipped
by spending and left out of `available`.
"""

from walletsvc.ledger.accounts import ensure_unit, open_account, open_accounts, system_account
from walletsvc.ledger.giving import credit
from walletsvc.ledger.holds import capture, hold, void
from walletsvc.ledger.many import credit_each, credit_many
from walletsvc.ledger.many_reversals import close_empty, reopen, reverse_many
from walletsvc.ledger.merging import merge, transfer
from walletsvc.ledger.reversals import reverse
from walletsvc.ledger.settling import lock_settled as lock
from walletsvc.ledger.spending import debit

__all__ = [
    "capture",
    "close_empty",
    "credit",
    "credit_each",
    "credit_many",
    "debit",
    "ensure_unit",
    "hold",
    "lock",
    "merge",
    "open_account",
    "open_accounts",
    "reopen",
    "reverse",
    "reverse_many",
    "system_account",
    "transfer",
    "void",
]
