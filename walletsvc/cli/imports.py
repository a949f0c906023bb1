"""`walletsvc imports`: a base of cards that was kept elsewhere, in and out again."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import click
from sqlmodel import Session, select

from walletsvc.cli.bulk import follow
from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import InputError, NotFound
from walletsvc.core.money import decimal_text
from walletsvc.enrolment.importing import reports, service
from walletsvc.enrolment.importing.checking import MONEY_SCALE
from walletsvc.enrolment.importing.models import Import, ImportState, KnownMembers
from walletsvc.enrolment.importing.reading import MOST_BYTES
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.lists.values import minor_units
from walletsvc.ledger.models import Unit
from walletsvc.programmes.calendar import end_of_day
from walletsvc.programmes.models import Programme

_SUMS: Final = ("file_balance", "ready_balance", "left_out_balance")
_MONEY: Final = ("ready_turnover",)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_WAIT: Final = click.option("--wait", is_flag=True, help="Show the progress until the job ends.")


@click.group()
def imports() -> None:
    """A base of cards kept elsewhere: look it through, bring it in, undo that."""


@imports.command()
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--programme", required=True, metavar="SLUG", help="The points programme.")
@click.option("--reason", required=True, help="Why; the histories of all cards show it.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="HEADING=COLUMN",
    help="What a heading means that is not known; nothing after the sign: pass it over.",
)
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The points' last day.")
@click.option(
    "--known-members",
    type=click.Choice(["add", "skip"]),
    default="add",
    show_default=True,
    help="Rows of persons who have a card already.",
)
@_WAIT
def check(
    path: Path,
    programme: str,
    reason: str,
    columns: tuple[str, ...],
    expires: datetime | None,
    known_members: str,
    wait: bool,
) -> None:
    """Look a list of cards through: a CSV or an Excel workbook. Writes nothing but the report."""
    named = dict(_pair(each) for each in columns)
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.write_tx() as session:
            chosen = _programme(session, programme)
            found = service.begin(
                session,
                programme=chosen,
                raw=_read(path),
                file_name=path.name[:120],
                columns=named,
                known_members=KnownMembers(known_members),
                expires_at=end_of_day(chosen, expires.date(), now) if expires else None,
                reason=reason,
                actor=OPERATOR,
                now=now,
            )
        click.echo(f"Import {found.public_id} is looked through by the worker; see what it found:")
        click.echo(f"    walletsvc imports show {found.public_id}")
        _follow(runtime, found, wait)


@imports.command()
@click.argument("import_id", metavar="ID")
def show(import_id: str) -> None:
    """Show an import: how far it is and what the dry run found."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = service.find(session, import_id)
        chosen = session.get_one(Programme, found.programme_id)
        scale = session.get_one(Unit, chosen.unit_id).scale
        click.echo(f"import     {found.public_id}")
        click.echo(f"programme  {chosen.slug}")
        click.echo(f"file       {found.file_name}, SHA-256 {found.digest.hex()}")
        click.echo(f"state      {found.state}")
        for name, value in found.figures.items():
            told = f"{value:,}"
            if name in _SUMS:
                told = f"{_grouped(value, scale)} points"
            elif name in _MONEY:
                told = f"{_grouped(value, MONEY_SCALE)} {chosen.currency}"
            click.echo(f"  {name.replace('_', ' '):<22}{told}")
        for row in reports.rows(session, found, limit=10):
            for column, _, message in row.problems:
                click.echo(f"  line {row.row}: {column or 'it'} {message}")
        if found.state is ImportState.CHECKED:
            total = decimal_text(found.figures["ready_balance"], scale)
            click.echo(f"Bring it in with: walletsvc imports run {import_id} FILE --total {total}")


@imports.command()
@click.argument("import_id", metavar="ID")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--total", required=True, metavar="N", help="The ready balance the dry run told.")
@_WAIT
def run(import_id: str, path: Path, total: str, wait: bool) -> None:
    """Bring in what the dry run found good; FILE must be the one that it looked through."""
    with open_runtime() as runtime:
        with runtime.database.write_tx() as session:
            found = service.find(session, import_id)
            chosen = session.get_one(Programme, found.programme_id)
            expected = minor_units(total, session.get_one(Unit, chosen.unit_id).scale)
            if expected is None:
                raise InputError("--total is not an amount of points.")
            digest = hashlib.sha256(_read(path)).digest()
            if digest != found.digest:
                raise InputError(f"{path} is not the file that was checked.")
            service.run(
                session,
                found,
                expected_total=expected,
                digest=digest,
                actor=OPERATOR,
                now=runtime.installation.clock(),
            )
            found = service.find(session, import_id)
        click.echo(f"Import {import_id} is brought in by the worker.")
        _follow(runtime, found, wait)


@imports.command()
@click.argument("import_id", metavar="ID")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, .csv or .xlsx.",
)
def report(import_id: str, output: Path) -> None:
    """Write which rows are left out, or stay after an undoing, and why."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = service.find(session, import_id)
        write = reports.as_xlsx if output.suffix.lower() == ".xlsx" else reports.as_csv
        content = write(session, found)
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    click.echo(f"The report is in {output}.")


@imports.command()
@click.argument("import_id", metavar="ID")
@_WAIT
def undo(import_id: str, wait: bool) -> None:
    """Take out again what an import brought in, apart from what is in use."""
    with open_runtime() as runtime:
        with runtime.database.write_tx() as session:
            found = service.find(session, import_id)
            service.undo(session, found, actor=OPERATOR, now=runtime.installation.clock())
            found = service.find(session, import_id)
        click.echo(f"Import {import_id} is undone by the worker; what stays is in its report.")
        _follow(runtime, found, wait)


def _grouped(minor: int, scale: int) -> str:
    return f"{Decimal(minor).scaleb(-scale):,}"


def _programme(session: Session, slug: str) -> Programme:
    found = session.exec(select(Programme).where(Programme.slug == slug)).first()
    if found is None:
        raise NotFound(f"There is no programme '{slug}'.")
    return found


def _follow(runtime: Runtime, found: Import, wait: bool) -> None:
    with runtime.database.read_tx() as session:
        job = session.get_one(BulkJob, found.job_id).public_id
    click.echo(f"Follow it with: walletsvc bulk watch {job}")
    if wait:
        follow(runtime, job)


def _pair(text: str) -> tuple[str, str]:
    heading, sign, column = text.rpartition("=")
    if not sign:
        raise InputError("--column is written HEADING=COLUMN.")
    return heading, column.strip()


def _read(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES // 1024**2} MiB.")
    return path.read_bytes()
