"""A base of cards that was kept elsewhere: looked through, brought in, taken out again."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.bulk import JOB_EXAMPLE
from walletsvc.api.imports_schemas import (
    ImportList,
    ImportOut,
    ImportProblem,
    ImportReport,
    ImportRowOut,
    NewImport,
    ReportPage,
    RunImport,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import Page
from walletsvc.core.errors import Conflict, NotFound, Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.enrolment.importing import reports, service
from walletsvc.enrolment.importing.models import Import, KnownMembers
from walletsvc.enrolment.importing.reading import MOST_BYTES, MOST_ROWS
from walletsvc.jobs.bulk import BulkJob
from walletsvc.programmes.calendar import end_of_day
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import find_programme

_ROW: Final = re.compile(r"[0-9]{1,9}")
# A workbook in base64 takes a third more.
_MOST_BODY: Final = MOST_BYTES * 4 // 3 + 64 * 1024


def begin_import(call: Call) -> ImportOut:
    """Begin a dry run."""
    body: NewImport = call.body
    try:
        programme = find_programme(call.session, call.key.organisation_id, body.programme)
    except NotFound:
        raise wrong("programme", "is not a programme of yours", "unknown") from None
    ends = end_of_day(programme, body.expires_on, call.now) if body.expires_on else None
    found = service.begin(
        call.session,
        programme=programme,
        raw=_file(body),
        file_name=body.file_name,
        columns=body.columns,
        known_members=KnownMembers(body.known_members),
        expires_at=ends,
        reason=body.reason,
        actor=call.actor,
        now=call.now,
    )
    return _shown(call, found)


def list_imports(call: Call) -> ImportList:
    """Imports, newest first."""
    query: Page = call.query
    before = None
    if query.cursor is not None:
        try:
            before = service.find(call.session, query.cursor, call.key.organisation_id)
        except NotFound:
            raise wrong("cursor", "is not a cursor of this list", "invalid") from None
    found = service.newest(
        call.session, call.key.organisation_id, before=before, limit=query.limit + 1
    )
    part = found[: query.limit]
    return ImportList(
        items=[_shown(call, each) for each in part],
        next_cursor=part[-1].public_id if len(found) > query.limit else None,
    )


def read_import(call: Call) -> ImportOut:
    """An import as it is now."""
    return _shown(call, _find(call))


def read_report(call: Call) -> ImportReport:
    """What is wrong with which rows."""
    query: ReportPage = call.query
    found = _find(call)
    after = 0
    if query.cursor is not None:
        if not _ROW.fullmatch(query.cursor):
            raise wrong("cursor", "is not a cursor of this list", "invalid")
        after = int(query.cursor)
    outcomes = reports.TOLD if query.outcome is None else (query.outcome,)
    rows = reports.rows(call.session, found, after=after, outcomes=outcomes, limit=query.limit + 1)
    part = rows[: query.limit]
    return ImportReport(
        items=[
            ImportRowOut(
                line=row.row,
                outcome=row.outcome,
                problems=[
                    ImportProblem(column=column, code=code, message=message)
                    for column, code, message in row.problems
                ],
            )
            for row in part
        ],
        next_cursor=str(part[-1].row) if len(rows) > query.limit else None,
    )


def run_import(call: Call) -> ImportOut:
    """Bring it in."""
    body: RunImport = call.body
    found = _find(call)
    service.run(
        call.session,
        found,
        expected_total=body.expected_total,
        digest=bytes.fromhex(body.digest),
        actor=call.actor,
        now=call.now,
    )
    return _shown(call, _find(call))


def undo_import(call: Call) -> ImportOut:
    """Take it out again."""
    found = _find(call)
    service.undo(call.session, found, actor=call.actor, now=call.now)
    return _shown(call, _find(call))


def _file(body: NewImport) -> bytes:
    if (body.csv is None) == (body.xlsx is None):
        raise wrong("csv", "is needed, or `xlsx`, and only one of them", "required")
    if body.csv is not None:
        return body.csv.encode()
    try:
        return b64decode(body.xlsx or "", validate=True)
    except ValueError:
        raise wrong("xlsx", "must be base64", "invalid_format") from None


def _find(call: Call) -> Import:
    public_id = call.path["import_id"]
    if not PUBLIC_ID.fullmatch(public_id):
        raise NotFound("There is no such import.")
    return service.find(call.session, public_id, call.key.organisation_id)


def _shown(call: Call, found: Import) -> ImportOut:
    job = call.session.get(BulkJob, found.job_id) if found.job_id else None
    return ImportOut(
        id=found.public_id,
        programme=call.session.get_one(Programme, found.programme_id).slug,
        file_name=found.file_name,
        digest=found.digest.hex(),
        state=found.state,
        known_members=found.known_members,
        expires_at=found.expires_at,
        reason=found.reason,
        columns=found.columns,
        figures=found.figures,
        job=present.bulk_job(job, call.now) if job else None,
        actor=found.actor,
        created_at=found.created_at,
    )


_TAG: Final = "Imports"
_PATH: Final = {"import_id": "The import's id, as beginning it answered."}
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "5r8t1v4x7z0b3d6f9h2k",
    "programme": "coffee",
    "file_name": "base.csv",
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "state": "checked",
    "known_members": "add",
    "expires_at": None,
    "reason": "The old bonus cards",
    "columns": ["number", "phone", "surname_first", "balance"],
    "figures": {
        "rows": 1000,
        "ready": 980,
        "bad": 8,
        "duplicate": 10,
        "known": 2,
        "file_balance": 154200,
        "ready_balance": 151900,
        "left_out_balance": 2300,
    },
    "job": {
        **JOB_EXAMPLE,
        "kind": service.CHECK,
        "title": "Look through base.csv",
        "state": "done",
        "done": 1000,
        "total": 1000,
        "percent": 100,
        "remaining_seconds": None,
        "words": "done",
        "result": {},
        "finished_at": "2026-11-20T09:30:09Z",
    },
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "created_at": "2026-11-20T09:30:00Z",
}

OPERATIONS: Final = (
    Operation(
        id="beginImport",
        method="POST",
        path="/imports",
        tag=_TAG,
        scope=Scope.IMPORTS_WRITE,
        summary="Look a base of cards through",
        description=f"Takes a list of up to {MOST_ROWS:,} cards kept elsewhere, of at most "
        f"{MOST_BYTES // 1024**2} MiB, and begins a dry run, which writes nothing but its report. "
        "Columns, in any order: card number, phone, name, birthday, balance, turnover, tier, "
        "e-mail, registered on, language. Read the import until its `state` is `checked`.",
        handler=begin_import,
        status=202,
        body=NewImport,
        body_example={
            "programme": "coffee",
            "csv": "card;phone;name;balance\n1001;+79001234567;Анна Орлова;150\n",
            "reason": "The old bonus cards",
        },
        most_bytes=_MOST_BODY,
        answer=ImportOut,
        answer_example={**_EXAMPLE, "state": "checking", "figures": {}},
        key=KeyRule.OPTIONAL,
        problems=(Refused,),
    ),
    Operation(
        id="listImports",
        method="GET",
        path="/imports",
        tag=_TAG,
        scope=Scope.IMPORTS_WRITE,
        summary="List imports",
        description="Your organisation's imports, the newest first.",
        handler=list_imports,
        query=Page,
        answer=ImportList,
        answer_example={"items": [_EXAMPLE], "next_cursor": None},
    ),
    Operation(
        id="readImport",
        method="GET",
        path="/imports/{import_id}",
        tag=_TAG,
        scope=Scope.IMPORTS_WRITE,
        summary="Read an import",
        description="How far it is, and what the dry run found.",
        handler=read_import,
        answer=ImportOut,
        answer_example=_EXAMPLE,
        path_parameters=_PATH,
    ),
    Operation(
        id="readImportReport",
        method="GET",
        path="/imports/{import_id}/report",
        tag=_TAG,
        scope=Scope.IMPORTS_WRITE,
        summary="Read an import's report",
        description="The rows that are left out, and after an undoing those that stay, each with "
        "its line, columns and reasons; never with what stood there.",
        handler=read_report,
        query=ReportPage,
        answer=ImportReport,
        answer_example={
            "items": [
                {
                    "line": 17,
                    "outcome": "bad",
                    "problems": [
                        {
                            "column": "birthday",
                            "code": "invalid_date",
                            "message": "must be a day such as 31.12.1990 or 1990-12-31",
                        }
                    ],
                }
            ],
            "next_cursor": None,
        },
        path_parameters=_PATH,
    ),
    Operation(
        id="runImport",
        method="POST",
        path="/imports/{import_id}/run",
        tag=_TAG,
        scope=Scope.IMPORTS_WRITE,
        summary="Bring an import in",
        description="Begins to make persons, cards and balances of the rows that are ready, each "
        "once; nobody is told. `expected_total` and `digest` must be those of the dry run: who "
        "runs it has read the report of this list. The same again is the same job.",
        handler=run_import,
        status=202,
        body=RunImport,
        body_example={"expected_total": 151900, "digest": _EXAMPLE["digest"]},
        answer=ImportOut,
        answer_example={**_EXAMPLE, "state": "running"},
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict),
        path_parameters=_PATH,
    ),
    Operation(
        id="undoImport",
        method="POST",
        path="/imports/{import_id}/undo",
        tag=_TAG,
        scope=Scope.IMPORTS_WRITE,
        summary="Undo an import",
        description="Begins to take out again what the import brought in. Cards that somebody "
        "has used since stay as they are; the report says which, and why. Send no body "
        "(`Content-Length: 0`).",
        handler=undo_import,
        status=202,
        answer=ImportOut,
        answer_example={**_EXAMPLE, "state": "undoing"},
        key=KeyRule.REQUIRED,
        problems=(Conflict,),
        path_parameters=_PATH,
    ),
)
