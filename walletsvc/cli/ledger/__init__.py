"""`walletsvc ledger`: what is stored follows from the entries, and can be explained."""

from walletsvc.cli.ledger.command import ledger

__all__ = ["ledger"]
