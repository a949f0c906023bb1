"""What calls about imports and plastic numbers read and answer."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from walletsvc.api.schemas import BulkJobOut, Input, Moment, Output, Page, PublicId, Reason, Slug
from walletsvc.enrolment.importing.models import ImportState, KnownMembers, RowOutcome


class NewImport(Input):
    """A base of cards as a table: `csv` or `xlsx`."""

    programme: Slug = Field(description="The points programme's short name.")
    csv: str | None = Field(
        None,
        min_length=1,
        description="A table with a heading, separated by commas, semicolons or tabs.",
    )
    xlsx: str | None = Field(
        None, min_length=1, description="The same table as an Excel workbook, in base64."
    )
    file_name: str = Field("", max_length=120, description="What the file is called.")
    columns: dict[str, str] | None = Field(
        None,
        max_length=50,
        description='What headings mean that are not known, such as `{"Код": "number"}`; '
        "empty text: the column is passed over.",
    )
    known_members: Literal["add", "skip"] = Field(
        "add",
        description="Rows of persons who have a card of the programme: `add` number, balance, "
        "turnover and tier to that card, or `skip` them.",
    )
    expires_on: date | None = Field(
        None, description="The points' last day. Without it they end by the rules."
    )
    reason: Reason = Field(
        min_length=1, max_length=200, description="Why; the histories of all cards show it."
    )


class RunImport(Input):
    """What the caller has read in the report."""

    expected_total: int = Field(
        ge=0, strict=True, description="`figures.ready_balance` of the dry run."
    )
    digest: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, as the import answers it."
    )


class ImportOut(Output):
    """An import and how far it is.

    `figures` are those of the dry run; what the run and the undoing came to is the job's `result`.
    """

    id: PublicId
    programme: str
    file_name: str
    digest: str = Field(description="SHA-256 of the file, in hexadecimal.")
    state: ImportState
    known_members: KnownMembers
    expires_at: Moment | None
    reason: str
    columns: list[str] = Field(description="What each column is; empty: passed over.")
    figures: dict[str, int] = Field(
        description="Rows by what would become of them (`ready`, `bad`, `duplicate`, `known`), "
        "sums of balances in minor units (`file_balance`, `ready_balance`, `left_out_balance`)…"
    )
    job: BulkJobOut | None
    actor: str
    created_at: Moment


class ImportList(Output):
    """Imports, the newest first."""

    items: list[ImportOut]
    next_cursor: str | None


class ImportProblem(Output):
    """One thing wrong with a row; `column` is empty when it is about all of it."""

    column: str
    code: str
    message: str


class ImportRowOut(Output):
    """A row that is left out, or stays though it was to be undone."""

    line: int = Field(description="Of the file, the heading being the first.")
    outcome: RowOutcome
    problems: list[ImportProblem]


class ImportReport(Output):
    """Rows in the order of the file."""

    items: list[ImportRowOut]
    next_cursor: str | None


class ReportPage(Page):
    """A piece of a report."""

    outcome: RowOutcome | None = Field(
        None, description="Only rows that became this; otherwise all that are left out or stay."
    )


class NewPlasticNumber(Input):
    """A number for a card."""

    number: str = Field(
        min_length=1, max_length=80, description="As printed; spaces, hyphens and case are nothing."
    )


class PlasticNumberOut(Output):
    """A number that stands for a card."""

    number: str
    claimed: bool = Field(description="Its owner proved a phone and took the card.")
    created_at: Moment


class PlasticNumbers(Output):
    """A card's numbers, the oldest first."""

    items: list[PlasticNumberOut]
