"""`walletsvc ledger`: what is stored follows from the entries, and can be explained."""

from walletsvc.cli.ledger import between
from walletsvc.cli.ledger.command import ledger

for command in (between.statement, between.settle, between.unsettle):
    ledger.add_command(command)

__all__ = ["ledger"]
