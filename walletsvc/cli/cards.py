"""`walletsvc cards`: what is done to many cards at once, and who shares an account."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import click
from sqlalchemy import or_
from sqlmodel import Session, col, select

from walletsvc.cards import bulk_credit
from walletsvc.cards.groups.models import CardGroup
from walletsvc.cards.groups.queries import group_view
from walletsvc.cards.models import Card
from walletsvc.cli.bulk import follow
from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import FieldError, InputError, NotFound
from walletsvc.core.ids import public_id
from walletsvc.core.money import MAX_AMOUNT, decimal_text
from walletsvc.jobs.bulk import BulkJob
from walletsvc.ledger.models import Unit
from walletsvc.programmes.models import Programme
from walletsvc.storage import idempotency
from walletsvc.storage.idempotency import Answer

_SCOPE: Final = "cli:cards credit"
_HEADINGS: Final = ("number", "card", "card_number")


@click.group()
def cards() -> None:
    """Credit many cards at once, see who shares an account."""


@cards.command()
@click.option("--programme", required=True, metavar="SLUG", help="Whose cards.")
@click.option("--all", "all_cards", is_flag=True, help="Every open card of the programme.")
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only the cards whose numbers stand in this file, one a line; or a CSV with a heading "
    "'number'.",
)
@click.option("--points", required=True, metavar="N", help="How many points each card gets.")
@click.option("--reason", required=True, help="Why; the cards' histories show it.")
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day on which the points can be spent. Default: they have no end.",
)
@click.option("--promotional", is_flag=True, help="Mark the points as an advertising gift.")
@click.option(
    "--key", metavar="TEXT", help="The same key again begins nothing new. Default: a random one."
)
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, stop.")
@click.option("--wait", is_flag=True, help="Show the progress until the job ends.")
def credit(
    programme: str,
    all_cards: bool,
    path: Path | None,
    points: str,
    reason: str,
    expires: datetime | None,
    promotional: bool,
    key: str | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Give points to many cards; purchases go on meanwhile and go first.

    Every card is credited exactly once, whatever happens to the worker. With the same --key the
    command can be repeated safely: it finds the job it began.
    """
    if all_cards == (path is not None):
        raise click.UsageError("Give either --all or --file.")
    lines, numbers = _read(path) if path is not None else ([], None)
    order = _Order(
        programme, points, reason, expires.date() if expires else None, promotional, lines, numbers
    )
    with open_runtime() as runtime:
        if dry_run:
            _try(runtime, order)
            return
        job_id = _begin_once(runtime, order, key or public_id())
        if wait:
            follow(runtime, job_id)


@cards.command()
@click.argument("card")
def group(card: str) -> None:
    """Show who shares the account of CARD (its number or id), and who brought and spent what."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        number = card.replace(" ", "")
        found = session.exec(
            select(Card).where(or_(col(Card.number) == number, col(Card.public_id) == number))
        ).first()
        if found is None:
            raise NotFound(f"There is no card {card}.")
        if found.group_id is None:
            click.echo("The card is in no group: its account is its own.")
            return
        view = group_view(session, session.get_one(CardGroup, found.group_id))
    scale = view.unit.scale
    click.echo(f"Group {view.group.public_id}: {decimal_text(view.balance, scale)} points")
    for member in view.members:
        brought, earned, spent = (
            decimal_text(amount, scale) for amount in (member.brought, member.earned, member.spent)
        )
        until = (
            ""
            if member.left_at is None
            else f", left {member.left_at:%Y-%m-%d} with "
            + (decimal_text(member.left_with or 0, scale))
        )
        click.echo(
            f"  {member.card.number}  {member.person.first_name}: joined "
            f"{member.joined_at:%Y-%m-%d} ({member.proof}), brought {brought}, "
            f"earned {earned}, spent {spent}{until}"
        )


@dataclass(frozen=True)
class _Order:
    """What was asked for; `lines` says where in the file each number stands."""

    programme: str
    points: str
    reason: str
    expires_on: date | None
    promotional: bool
    lines: list[int]
    numbers: list[str] | None

    def fingerprint(self) -> bytes:
        """The same for the same order."""
        parts = (
            self.programme,
            self.points,
            self.reason,
            self.expires_on,
            self.promotional,
            self.numbers,
        )
        return idempotency.fingerprint(*(str(part).encode() for part in parts))


def _try(runtime: Runtime, order: _Order) -> None:
    """Make every check by beginning the job, and undo it."""
    with runtime.database.write_tx() as session:
        attempt = session.begin_nested()
        _begin(session, order, runtime.installation.clock())
        attempt.rollback()
    click.echo("Nothing was begun: this was a dry run.")


def _begin_once(runtime: Runtime, order: _Order, key: str) -> str:
    """Begin the job, or find the one that this key began; returns its public id."""
    now = runtime.installation.clock()
    with runtime.database.write_tx() as session:
        former = idempotency.begin(session, _SCOPE, key, order.fingerprint(), now)
        if former is None:
            job = _begin(session, order, now)
            idempotency.finish(session, _SCOPE, key, Answer(201, job.public_id.encode()))
    if former is not None:
        job_id = former.body.decode()
        click.echo(f"This key began job {job_id} before; nothing new was begun.")
        return job_id
    click.echo(f"Job {job.public_id} is begun (key {key}); follow it with")
    click.echo(f"    walletsvc bulk watch {job.public_id}")
    return job.public_id


def _begin(session: Session, order: _Order, now: datetime) -> BulkJob:
    programme = session.exec(select(Programme).where(Programme.slug == order.programme)).first()
    if programme is None:
        raise NotFound(f"There is no programme '{order.programme}'.")
    scale = session.get_one(Unit, programme.unit_id).scale
    amount = _minor_units(order.points, scale)
    job = bulk_credit.begin(
        session,
        programme=programme,
        amount=amount,
        reason=order.reason,
        actor=OPERATOR,
        now=now,
        numbers=order.numbers,
        expires_on=order.expires_on,
        promotional=order.promotional,
        place=lambda index: f"line {order.lines[index]}",
    )
    whole = decimal_text(job.total * amount, scale)
    click.echo(f"{job.title}: {job.total:,} cards, {whole} points in all.")
    return job


def _minor_units(points: str, scale: int) -> int:
    """Points as people write them, in the programme's minor units."""
    try:
        amount = Decimal(points).scaleb(scale)
        whole = int(amount)
    except (InvalidOperation, OverflowError, ValueError):
        whole, amount = 0, Decimal(1)
    if amount != whole or not 0 < whole <= MAX_AMOUNT:
        decimals = "at most 2 decimals" if scale else "no decimals"
        message = f"must be a number above zero with {decimals}"
        raise InputError(f"--points {message}.", (FieldError("--points", message),))
    return whole


def _read(path: Path) -> tuple[list[int], list[str]]:
    """The card numbers in a file, and the line each stands in."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    separator = ";" if ";" in text else ","
    column = 0
    lines: list[int] = []
    numbers: list[str] = []
    rows = csv.reader(text.splitlines(), delimiter=separator)
    for line, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        names = [cell.lower() for cell in cells]
        if line == 1 and (heading := next((h for h in _HEADINGS if h in names), None)):
            column = names.index(heading)
        elif any(cells):
            lines.append(line)
            numbers.append(cells[column] if column < len(cells) else "")
    if not numbers:
        raise InputError(f"{path} holds no card numbers.")
    return lines, numbers
