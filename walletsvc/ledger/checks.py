"""What the ledger's verbs refuse before they look at any account."""

from __future__ import annotations

from walletsvc.core.errors import wrong
from walletsvc.core.money import MAX_AMOUNT


def check(amount: int, reason: str, source: str = "") -> None:
    """What a caller passes on from outside; raises InputError naming the field."""
    if isinstance(amount, bool) or not 0 < amount <= MAX_AMOUNT:
        raise wrong("amount", f"must be between 1 and {MAX_AMOUNT}")
    for field, value, longest in (("reason", reason, 200), ("source", source, 40)):
        if len(value) > longest or "\x00" in value:
            raise wrong(field, f"must be text of at most {longest} characters")
