"""`walletsvc ledger statement`, `settle`, `unsettle`: what organisations owe each other."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Final
from zoneinfo import ZoneInfo

import click
from sqlmodel import Session

from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import FieldError, InputError
from walletsvc.core.money import decimal_text
from walletsvc.ledger.models import Unit
from walletsvc.ledger.settlement import owed, settle_up, undo_settlement
from walletsvc.ledger.statements import (
    Statement,
    StatementLine,
    lines,
    statements,
    unit_between,
)
from walletsvc.merchants.rules import check_time_zone
from walletsvc.merchants.service import find_organisation

_DAY: Final = click.DateTime(["%Y-%m-%d"])
_COLUMNS: Final = (
    "time", "transaction", "counterparty", "unit", "kind", "organisation", "branch", "amount",
    "total", "reason",
)  # fmt: skip


@click.command()
@click.argument("organisation")
@click.option("--with", "counterparty", metavar="SLUG", help="Only with this organisation.")
@click.option("--from", "first", type=_DAY, required=True, help="The first day.")
@click.option("--to", "last", type=_DAY, required=True, help="The last day; it is included.")
@click.option(
    "--time-zone", default="Europe/Moscow", show_default=True, help="Where the days are counted."
)
@click.option(
    "--csv",
    "file",
    type=click.File("w", encoding="utf-8-sig", lazy=True),
    help="Write every transaction to this file (- for standard output).",
)
def statement(
    organisation: str,
    counterparty: str | None,
    first: datetime,
    last: datetime,
    time_zone: str,
    file: IO[str] | None,
) -> None:
    """Tell what ORGANISATION owes others and is owed, and how it came to that.

    Amounts above zero are what it owes, below zero what it is owed. The closing of one period
    is the opening of the next, and the counterparty's statement is the same with minus signs.
    """
    zone = ZoneInfo(check_time_zone(time_zone))
    since, until = _midnight(first.date(), zone), _midnight(last.date() + timedelta(1), zone)
    if until <= since:
        raise click.BadParameter("must not be before --from.", param_hint="--to")
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        own = find_organisation(session, organisation).id
        other = find_organisation(session, counterparty).id if counterparty else None
        if file is not None:
            told = lines(session, own, since=since, until=until, counterparty_id=other)
            _write(file, told, zone)
        if file is None or file.name != "-":
            found = statements(session, own, since=since, until=until, counterparty_id=other)
            for each in found:
                _show(organisation, each, f"{first:%Y-%m-%d} to {last:%Y-%m-%d}")
            if not found:
                click.echo("Nothing is owed and nothing happened.")


@click.command()
@click.argument("debtor")
@click.argument("creditor")
@click.option("--unit", "code", required=True, help="What was owed: RUB, or points:<programme>.")
@click.option("--amount", required=True, help="How much was paid, such as 4500.00.")
@click.option("--reason", required=True, help="Such as the payment order; both sides see it.")
def settle(debtor: str, creditor: str, code: str, amount: str, reason: str) -> None:
    """Write down that DEBTOR paid CREDITOR what it owed; more than that is refused."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        pair = {
            "debtor_id": find_organisation(session, debtor).id,
            "creditor_id": find_organisation(session, creditor).id,
        }
        unit = _unit(session, pair["debtor_id"], pair["creditor_id"], code)
        paid = settle_up(
            session,
            **pair,
            unit_id=unit.id,
            amount=_minor_units(amount, unit.scale),
            actor=OPERATOR,
            reason=reason,
            now=runtime.installation.clock(),
        )
        left = owed(session, **pair, unit_id=unit.id)
    shown = f"{decimal_text(left, unit.scale)} {code}"
    click.echo(f"Written down ({paid.public_id}). '{debtor}' still owes {shown}.")


@click.command()
@click.argument("settlement_id", metavar="ID")
@click.option("--reason", required=True, help="What went wrong; both sides see it.")
def unsettle(settlement_id: str, reason: str) -> None:
    """Take back a payment written down by mistake: what it paid is owed again."""
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        now = runtime.installation.clock()
        undo_settlement(session, settlement_id, actor=OPERATOR, reason=reason, now=now)
    click.echo("Taken back: what it paid is owed again.")


def _unit(session: Session, debtor_id: int, creditor_id: int, code: str) -> Unit:
    unit_id = unit_between(session, debtor_id, creditor_id, code)
    if unit_id is None:
        message = "is not a unit in which these two ever dealt"
        raise InputError(f"--unit {message}.", (FieldError("unit", message, "unknown"),))
    return session.get_one(Unit, unit_id)


def _minor_units(amount: str, scale: int) -> int:
    try:
        exact = Decimal(amount).scaleb(scale)
        whole = int(exact) if exact == exact.to_integral_value() else None
    except ArithmeticError:  # no number, or none that has an end
        whole = None
    if whole is None:
        message = f"must be a number with at most {scale} decimals"
        raise InputError(f"--amount {message}.", (FieldError("amount", message, "invalid_format"),))
    return whole


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _show(organisation: str, found: Statement, period: str) -> None:
    def row(text: str, amount: int, count: str = "") -> None:
        click.echo(f"  {text:<40}{count:>7}{decimal_text(amount, found.scale):>16}")

    click.echo(f"{organisation} and {found.counterparty}, {found.unit}, {period}")
    row("opening", found.opening)
    for each in found.movements:
        name = each.movement.replace("_", " ")
        whose = "by" if each.movement.startswith("settle") else "of"
        row(f"{name} ({whose} {each.organisation})", each.amount, str(each.count))
    row("closing", found.closing)
    if found.closing:
        debtor, creditor = organisation, found.counterparty
        if found.closing < 0:
            debtor, creditor = creditor, debtor
        sum_ = decimal_text(abs(found.closing), found.scale)
        click.echo(f"  {debtor} owes {creditor} {sum_} {found.unit}")


def _write(file: IO[str], told: Iterable[StatementLine], zone: ZoneInfo) -> None:
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    for line in told:
        writer.writerow(
            (
                line.at.astimezone(zone).isoformat(timespec="seconds"),
                line.public_id,
                line.counterparty,
                line.unit,
                line.movement,
                line.organisation,
                _cell(line.branch_name or ""),
                decimal_text(line.amount, line.scale),
                decimal_text(line.total, line.scale),
                _cell(line.reason),
            )
        )


def _cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
