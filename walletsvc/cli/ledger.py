"""`walletsvc ledger`: prove that what is stored follows from the entries."""

from __future__ import annotations

import sys

import click

from walletsvc.cli.context import open_runtime
from walletsvc.ledger.verify import counts, differences


@click.group()
def ledger() -> None:
    """Check the ledger."""


@ledger.command()
def verify() -> None:
    """Recompute balances, lots and holds from the entries; exit 1 naming every difference."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = 0
        for difference in differences(session):
            click.echo(difference)
            found += 1
        seen = counts(session)
    click.echo(
        f"{found or 'no'} difference{'' if found == 1 else 's'} in {seen.accounts} accounts, "
        f"{seen.transactions} transactions, {seen.entries} entries, {seen.lots} lots"
    )
    if found:
        sys.exit(1)
