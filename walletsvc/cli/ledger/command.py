"""The commands about the ledger."""

from __future__ import annotations

import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import click

from walletsvc.app import LEDGER_CHECKS
from walletsvc.cli.context import open_runtime
from walletsvc.cli.ledger import explaining, tables
from walletsvc.core.errors import FieldError, InputError
from walletsvc.ledger import due
from walletsvc.ledger import liability as owed
from walletsvc.ledger.verify import counts, differences
from walletsvc.merchants.service import find_organisation
from walletsvc.programmes.service import points_zones

_LINE_SECONDS: Final = 5.0
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)


@click.group()
def ledger() -> None:
    """Verify the ledger, bring it up to date, and explain what it says."""


@ledger.command()
def verify() -> None:
    """Recompute everything stored from the entries; exit 1 naming every difference.

    That is balances, lots, holds, reversals, what is pending, what organisations owe each other,
    merged accounts, and the accounts of cards and certificates. Tills may go on meanwhile.
    """
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = 0
        for difference in differences(session, LEDGER_CHECKS):
            click.echo(difference)
            found += 1
        seen = counts(session)
    click.echo(
        f"{found or 'no'} difference{'' if found == 1 else 's'} in {seen.accounts} accounts, "
        f"{seen.transactions} transactions, {seen.entries} entries, {seen.lots} lots"
    )
    if found:
        sys.exit(1)


@ledger.command("due")
def settle_due() -> None:
    """Do now what is due: release holds that ran out, let points that are due join their
    balances, write off points past their end.

    The worker does the same by the clock.

    Stopped halfway it has done what it did; run again it goes on.
    """
    said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if sys.stderr.isatty() or time.monotonic() - said > _LINE_SECONDS:
            click.echo(f"{done} of {total} accounts", err=True)
            said = time.monotonic()

    with open_runtime() as runtime:
        done = due.settle_all(runtime.database, runtime.installation.clock(), tell=tell)
    click.echo(
        f"{done.looked_at} accounts: {done.released} holds released, points matured on "
        f"{done.matured} and ended on {done.expired} accounts"
    )


@ledger.command()
@click.option(
    "--at",
    "at_text",
    metavar="DATE",
    help="The end of this day (2026-10-31), or a moment (2026-10-31T21:00:00Z); now if not given.",
)
@click.option("--zone", default="Europe/Moscow", show_default=True, help="The zone of that day.")
@click.option("--organisation", metavar="SLUG", help="Of this organisation only.")
def liability(at_text: str | None, zone: str, organisation: str | None) -> None:
    """Show what is owed: points by the month in which they end, debts, certificate money.

    A past day is answered from what had been posted by then.
    """
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        now = runtime.installation.clock()
        at = now if at_text is None else moment(at_text, zone, now)
        of = find_organisation(session, organisation).id if organisation else None
        found = owed.liability(session, at, organisation_id=of, zones=points_zones(session))
    click.echo(tables.liability(found))


@ledger.command()
@click.argument("subject", metavar="ID")
def explain(subject: str) -> None:
    """Explain a balance: its lots, debt, future points and last movements.

    ID is a card's number or id, a certificate's id, or an account's id.
    """
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        now = runtime.installation.clock()
        click.echo(explaining.text(session, explaining.find(session, subject), now))


def moment(text: str, zone: str, now: datetime) -> datetime:
    """The end of a day in a zone, or a moment with its offset; raises InputError for anything
    else, and for what is yet to come."""
    try:
        if len(text) == len("2026-10-31"):
            day, here = date.fromisoformat(text), ZoneInfo(zone)
            end = datetime.combine(day + timedelta(days=1), datetime.min.time(), here)
            at = end.astimezone(UTC) - timedelta(microseconds=1)
            if day == now.astimezone(here).date():  # so far
                at = now
        else:
            at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, KeyError, OSError):
        raise _wrong("write a day (2026-10-31) or a moment (2026-10-31T21:00:00Z)") from None
    if at.tzinfo is None:
        raise _wrong("a moment needs its offset, as in 2026-10-31T21:00:00Z")
    if not _EARLIEST <= at <= now:
        raise _wrong("must not lie in the future, nor before the year 2000")
    return at


def _wrong(message: str) -> InputError:
    return InputError(f"--at: {message}.", (FieldError("at", message, "invalid_format"),))
