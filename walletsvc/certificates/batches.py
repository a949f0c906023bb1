"""Many certificates at once: a list of recipients, checked as a whole, issued as a bulk job."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqlalchemy import insert
from sqlmodel import Session, col, select

from walletsvc.certificates.issuing import LANGUAGES, check_value, require_programme
from walletsvc.certificates.locking import require_open_branch
from walletsvc.certificates.models import BatchRow, Certificate, Origin
from walletsvc.core.actor import Actor
from walletsvc.core.errors import FieldError, InputError, NotFound
from walletsvc.jobs import bulk
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.service import find as find_job
from walletsvc.merchants.rules import check_text
from walletsvc.programmes.models import Programme

KIND: Final = "gift-certificates"
MOST_ROWS: Final = 20_000
_MOST_ERRORS: Final = 1000  # more of them help nobody, and fill the answer

# How people head these columns.
_HEADINGS: Final = {
    "name": ("name", "recipient", "recipient_name", "имя", "получатель", "фио"),
    "amount": ("amount", "sum", "value", "face_value", "сумма", "номинал"),
    "language": ("language", "lang", "язык"),
}
_BLANKS: Final = re.compile(r"[\s\u00a0\u202f]")


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row as it was sent: `place` says where it stands, `amount` is in minor units."""

    place: str
    name: str
    amount: int
    language: str = ""


def read_csv(raw: bytes, scale: int) -> list[Recipient]:
    """The recipients in a table with a heading, separated by commas, semicolons or tabs.

    UTF-8, or what spreadsheets on Windows save in Russia. Amounts are in whole units of money,
    with at most `scale` decimals. Raises InputError naming every bad cell by line and column.
    """
    table = _table(raw)
    if not table:
        raise _wrong("file", "holds nothing", "required")
    (_, heading), *rest = table
    columns = _columns(heading)
    errors: list[FieldError] = []
    found = []
    for line, cells in rest:
        cell = {name: cells[place] if place < len(cells) else "" for name, place in columns.items()}
        place = f"line {line}"
        if len(cells) > len(heading) and any(cells[len(heading) :]):
            errors.append(FieldError(place, "has more cells than the heading", "too_long"))
        amount = minor_units(cell["amount"], scale)
        if amount is None:
            decimals = f"at most {scale} decimals" if scale else "no decimals"
            message = f"must be a number above zero with {decimals}"
            errors.append(FieldError(f"{place}: amount", message, "invalid_format"))
        found.append(
            Recipient(
                place, cell.get("name", ""), amount or 1, cell.get("language", "").strip().lower()
            )
        )
    _check(found, errors, "{}: {}".format)
    return found


def begin(
    session: Session,
    *,
    programme: Programme,
    recipients: Sequence[Recipient],
    origin: Origin,
    expires_at: datetime | None = None,
    branch_id: int | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> BulkJob:
    """Begin to issue a certificate to each recipient.

    Raises InputError naming every bad row by place and field, Refused (programme), NotAccepted
    (branch); nothing is begun then.
    """
    require_programme(programme)
    require_open_branch(session, branch_id)
    reason = check_text("reason", reason, 200)
    _check(recipients, [], "{}.{}".format)
    job = bulk.begin(
        session,
        kind=KIND,
        title=f"{len(recipients):,} certificates of '{programme.slug}'",
        parameters={
            "programme_id": programme.id,
            "origin": origin.value,
            "reason": reason,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "branch_id": branch_id,
            "amount": sum(recipient.amount for recipient in recipients),
        },
        total=len(recipients),
        actor=actor,
        now=now,
        organisation_id=programme.organisation_id,
    )
    rows = [
        {
            "job_id": job.id,
            "row": number,
            "face_value": recipient.amount,
            "recipient_name": check_text("name", recipient.name, 120, required=False),
            "language": recipient.language or LANGUAGES[0],
        }
        for number, recipient in enumerate(recipients, start=1)
    ]
    session.execute(insert(BatchRow), rows)
    return job


def find(session: Session, public_id: str, organisation_id: int | None = None) -> BulkJob:
    """The bulk issue with this public id; raises NotFound, also for other kinds of job."""
    job = find_job(session, public_id, organisation_id=organisation_id)
    if job.kind != KIND:
        raise NotFound("There is no such bulk job.")
    return job


def rows(
    session: Session, job: BulkJob, *, after: int = 0, limit: int
) -> list[tuple[BatchRow, Certificate | None]]:
    """The rows after that number in the order of the list, with what they became."""
    found = session.exec(
        select(BatchRow, Certificate)
        .outerjoin(Certificate, col(Certificate.id) == col(BatchRow.certificate_id))
        .where(BatchRow.job_id == job.id, BatchRow.row > after)
        .order_by(col(BatchRow.row))
        .limit(limit)
    )
    return [(row, certificate) for row, certificate in found]


def _check(recipients: Sequence[Recipient], errors: list[FieldError], field: Any) -> None:
    """Raises InputError for all that is wrong, with what was found before."""
    if not 0 < len(recipients) <= MOST_ROWS:
        raise _wrong("rows", f"must be 1 to {MOST_ROWS:,} recipients", "out_of_range")
    for recipient in recipients:
        try:
            check_text("name", recipient.name, 120, required=False)
            check_value("amount", recipient.amount)
        except InputError as error:
            item = error.fields[0]
            errors.append(FieldError(field(recipient.place, item.field), item.message, item.code))
        if recipient.language and recipient.language not in LANGUAGES:
            name = field(recipient.place, "language")
            errors.append(FieldError(name, "must be ru or en", "not_allowed"))
    if errors:
        first = "; ".join(f"{error.field} {error.message}" for error in errors[:3])
        more = f"; and {len(errors) - 3:,} more" if len(errors) > 3 else ""
        raise InputError(f"Nothing was begun: {first}{more}.", tuple(errors[:_MOST_ERRORS]))


def _table(raw: bytes) -> list[tuple[int, list[str]]]:
    """The lines that hold something, each with its number in the file."""
    if raw.startswith(b"PK"):
        raise _wrong("file", "is a workbook: save it as CSV (UTF-8) first", "invalid_format")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        content = raw.decode("cp1251", errors="replace")
    if "\x00" in content:
        raise _wrong("file", "is not text", "invalid_format")
    first = next((line for line in content.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(content.splitlines(keepends=True), delimiter=separator)
    table, line = [], 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                table.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1  # of the next row: a quoted cell may span lines
    except csv.Error as error:
        raise _wrong("file", f"cannot be read at line {line}: {error}", "invalid_format") from None
    return table


def _columns(heading: Sequence[str]) -> dict[str, int]:
    """Where each column stands; raises InputError for unknown ones and when none has amounts."""
    found: dict[str, int] = {}
    for place, title in enumerate(heading):
        known = [name for name, words in _HEADINGS.items() if title.lower() in words]
        if not known:
            raise _wrong(
                f"heading, column {place + 1}", "is not name, amount or language", "unknown_field"
            )
        if known[0] in found:
            raise _wrong(f"heading, column {place + 1}", "is there twice", "duplicate_key")
        found[known[0]] = place
    if "amount" not in found:
        raise _wrong("heading", "has no column amount (сумма)", "required")
    return found


def minor_units(written: str, scale: int) -> int | None:
    """Money as people write it, in minor units; None when it cannot be paid."""
    plain = _BLANKS.sub("", written).replace(",", ".").removesuffix("₽")
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,4})?", plain):
        return None
    try:
        amount = Decimal(plain).scaleb(scale)
    except InvalidOperation:
        return None
    whole = int(amount)
    return whole if whole == amount and whole > 0 else None


def _wrong(field: str, message: str, code: str) -> InputError:
    return InputError(f"{field}: {message}.", (FieldError(field, message, code),))
