"""`walletsvc certificates`: gift certificates, one or many, and what became of them."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from sqlmodel import Session, select

from walletsvc.certificates import batches, queries, recipients, service
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.certificates.states import state
from walletsvc.cli.bulk import follow
from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import FieldError, InputError, NotFound
from walletsvc.core.ids import public_id
from walletsvc.core.money import decimal_text
from walletsvc.enrolment.service import issue_certificate
from walletsvc.jobs.bulk import BulkJob
from walletsvc.ledger.models import Unit
from walletsvc.merchants.service import find_branch
from walletsvc.programmes.calendar import end_of_day
from walletsvc.programmes.models import Programme
from walletsvc.storage import idempotency
from walletsvc.storage.idempotency import Answer

_SCOPE: Final = "cli:certificates import"
_PAGE: Final = 1000
_MOST_BYTES: Final = 10 * 1024 * 1024

Command = Callable[..., Any]


@click.group()
def certificates() -> None:
    """Gift certificates: issue them, one or many, block them, see what became of one."""


def _common(command: Command) -> Command:
    """The options of both ways to issue."""
    options = (
        click.option("--programme", required=True, metavar="SLUG", help="The gift programme."),
        click.option("--free", is_flag=True, help="A gift of the house: nobody paid for it."),
        click.option(
            "--expires",
            type=click.DateTime(["%Y-%m-%d"]),
            help="The last day on which it can be spent. Default: it has no end.",
        ),
        click.option("--branch", metavar="ID", help="The branch that issues."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@certificates.command()
@_common
@click.option("--amount", required=True, metavar="N", help="What it is worth, such as 3000.")
@click.option("--name", "recipient", default="", help="The recipient, shown on the pass.")
@click.option(
    "--language", type=click.Choice(["ru", "en"]), default="ru", show_default=True, help="Its pass."
)
@click.option("--reason", default="", help="Why, or for which receipt; needed with --free.")
def issue(
    programme: str,
    free: bool,
    expires: datetime | None,
    branch: str | None,
    amount: str,
    recipient: str,
    language: str,
    reason: str,
) -> None:
    """Issue a certificate and print its id, code and page."""
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.write_tx() as session:
            chosen = _programme(session, programme)
            made = issue_certificate(
                session,
                programme=chosen,
                face_value=_minor_units(session, chosen, amount),
                origin=Origin.FREE if free else Origin.PAID,
                recipient_name=recipient,
                language=language,
                expires_at=end_of_day(chosen, expires.date(), now) if expires else None,
                branch_id=find_branch(session, branch).id if branch else None,
                actor=OPERATOR,
                reason=reason,
                now=now,
            )
        click.echo(f"id    {made.certificate.public_id}")
        click.echo(f"code  {made.code}")
        click.echo(f"page  {_page(runtime, made.certificate)}")


@certificates.command(name="import")
@_common
@click.option(
    "--file",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV or an Excel workbook with a heading name, amount, language (or имя, сумма, язык).",
)
@click.option("--reason", required=True, help="Why; the histories of all of them show it.")
@click.option(
    "--key", metavar="TEXT", help="The same key again begins nothing new. Default: a random one."
)
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, stop.")
@click.option("--wait", is_flag=True, help="Show the progress until the job ends.")
def import_(
    programme: str,
    free: bool,
    expires: datetime | None,
    branch: str | None,
    path: Path,
    reason: str,
    key: str | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Issue a certificate to every recipient in a file.

    Every bad cell is named by line and column, and nothing is begun if there is one. Each row
    gets one certificate, whatever happens to the worker.
    """
    raw = _read(path)

    def begin(session: Session, now: datetime) -> BulkJob:
        chosen = _programme(session, programme)
        scale = session.get_one(Unit, chosen.unit_id).scale
        job = batches.begin(
            session,
            programme=chosen,
            recipients=recipients.read(raw, scale),
            origin=Origin.FREE if free else Origin.PAID,
            expires_at=end_of_day(chosen, expires.date(), now) if expires else None,
            branch_id=find_branch(session, branch).id if branch else None,
            actor=OPERATOR,
            reason=reason,
            now=now,
        )
        worth = decimal_text(job.parameters["amount"], scale)
        click.echo(f"{job.title}, {worth} {chosen.currency} in all.")
        return job

    order = (programme, free, expires, branch, reason)
    print_ = idempotency.fingerprint(raw, *(str(part).encode() for part in order))
    with open_runtime() as runtime:
        if dry_run:
            with runtime.database.write_tx() as session:
                attempt = session.begin_nested()
                begin(session, runtime.installation.clock())
                attempt.rollback()
            click.echo("Nothing was begun: this was a dry run.")
            return
        job_id = _begin_once(runtime, begin, key or public_id(), print_)
        if wait:
            follow(runtime, job_id)


def _begin_once(
    runtime: Runtime, begin: Callable[[Session, datetime], BulkJob], key: str, print_: bytes
) -> str:
    """Begin the job, or find the one that this key began; returns its public id."""
    now = runtime.installation.clock()
    with runtime.database.write_tx() as session:
        former = idempotency.begin(session, _SCOPE, key, print_, now)
        if former is None:
            job = begin(session, now)
            idempotency.finish(session, _SCOPE, key, Answer(201, job.public_id.encode()))
    if former is not None:
        job_id = former.body.decode()
        click.echo(f"This key began job {job_id} before; nothing new was begun.")
        return job_id
    click.echo(f"Job {job.public_id} is begun (key {key}); follow it, and fetch the list, with")
    click.echo(f"    walletsvc bulk watch {job.public_id}")
    click.echo(f"    walletsvc certificates batch {job.public_id} --output FILE.csv")
    return job.public_id


@certificates.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; only you can read it, for it holds the codes.",
)
def batch(job_id: str, output: Path) -> None:
    """Write the certificates of an import into a CSV: recipient, amount, id, page, code."""
    with open_runtime() as runtime:
        with runtime.database.read_tx() as session:
            job = batches.find(session, job_id)
            chosen = session.get_one(Programme, job.parameters["programme_id"])
            scale = session.get_one(Unit, chosen.unit_id).scale
            lines = [["name", "amount", "language", "certificate", "page", "code"]]
            after, missing = 0, 0
            while rows := batches.rows(session, job, after=after, limit=_PAGE):
                for row, made in rows:
                    what = [made.public_id, _page(runtime, made), made.code] if made else [""] * 3
                    amount = decimal_text(row.face_value, scale)
                    lines.append([row.recipient_name, amount, row.language, *what])
                    missing += made is None
                after = rows[-1][0].row
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise InputError(f"{output} cannot be written: {error.strerror}.") from error
        # With a byte order mark spreadsheets read Cyrillic as it is.
        with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([_harmless(cell) for cell in line] for line in lines)
        click.echo(f"{len(lines) - 1:,} rows in {output}, {missing:,} of them not issued yet.")


@certificates.command()
@click.argument("certificate_id", metavar="ID")
def show(certificate_id: str) -> None:
    """Show a certificate: state, balance, and what the balance is made of.

    ID is the certificate's id. Codes are money and do not belong into command lines.
    """
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = _find(session, certificate_id)
        chosen = session.get_one(Programme, found.programme_id)
        view = queries.view(session, chosen.organisation_id, found)
        scale = session.get_one(Unit, chosen.unit_id).scale
        balance = view.balance if view else 0
        former, later = queries.kin(session, found)
        rows = {
            "certificate": found.public_id,
            "programme": chosen.slug,
            "state": str(state(found, runtime.installation.clock())),
            "balance": f"{decimal_text(balance, scale)} {chosen.currency}",
            "origin": str(found.origin),
            "ends": f"{found.expires_at:%Y-%m-%d %H:%M} UTC" if found.expires_at else None,
            "made of": former,
            "became": later,
        }
        for name, value in rows.items():
            if value is not None:
                click.echo(f"{name:<14}{value}")
        for part in queries.parts(session, found):
            text = f"{decimal_text(part.amount, scale)} ({part.count})"
            click.echo(f"  {part.kind.replace('_', ' '):<18}{text}")
        for event in queries.events(session, found):
            click.echo(f"  {event.at:%Y-%m-%d %H:%M} {event.kind}: {event.reason} ({event.actor})")


@certificates.command()
@click.argument("certificate_id", metavar="ID")
@click.option("--reason", required=True, help="Why; the certificate's history shows it.")
def block(certificate_id: str, reason: str) -> None:
    """Stop a certificate; its money stays owed."""
    _change(certificate_id, service.block, reason)


@certificates.command()
@click.argument("certificate_id", metavar="ID")
@click.option("--reason", required=True, help="Why; the certificate's history shows it.")
def unblock(certificate_id: str, reason: str) -> None:
    """Let a blocked certificate be spent again."""
    _change(certificate_id, service.unblock, reason)


def _change(certificate_id: str, verb: Callable[..., Certificate], reason: str) -> None:
    with open_runtime() as runtime:
        now = runtime.installation.clock()
        with runtime.database.write_tx() as session:
            found = _find(session, certificate_id)
            found = verb(session, found, actor=OPERATOR, reason=reason, now=now)
        click.echo(f"Certificate {found.public_id} is {state(found, now)}.")


def _find(session: Session, certificate_id: str) -> Certificate:
    found = queries.find_any(session, certificate_id)
    if found is None:
        raise NotFound("There is no certificate with this id.")
    return found


def _programme(session: Session, slug: str) -> Programme:
    found = session.exec(select(Programme).where(Programme.slug == slug)).first()
    if found is None:
        raise NotFound(f"There is no programme '{slug}'.")
    return found


def _minor_units(session: Session, chosen: Programme, amount: str) -> int:
    scale = session.get_one(Unit, chosen.unit_id).scale
    found = recipients.minor_units(amount, scale)
    if found is None:
        message = f"must be a number above zero with at most {scale} decimals"
        raise InputError(f"--amount {message}.", (FieldError("--amount", message),))
    return found


def _page(runtime: Runtime, found: Certificate) -> str:
    return f"{runtime.settings.base_url}/c/{found.link_token}"


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is larger than {_MOST_BYTES // 1024 // 1024} MB.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _harmless(cell: str) -> str:
    """A name that a spreadsheet would take for a formula becomes text."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
