"""Bulk jobs: how far they are, pausing and resuming them, crediting many cards."""

from __future__ import annotations

from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import (
    BulkCreditBegun,
    BulkJobList,
    BulkJobOut,
    DryRun,
    NewBulkCredit,
    Page,
)
from walletsvc.cards import bulk_credit
from walletsvc.core.errors import Conflict, NotFound, Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.jobs.bulk import BulkJob, service
from walletsvc.programmes.service import find_programme


def begin_bulk_credit(call: Call) -> BulkCreditBegun:
    """Give points to many cards."""
    body: NewBulkCredit = call.body
    query: DryRun = call.query
    if body.all_cards == (body.cards is not None):
        raise wrong("cards", "is needed, or `all_cards`, and not both", "required")
    try:
        programme = find_programme(call.session, call.key.organisation_id, body.programme)
    except NotFound:
        raise wrong("programme", "is not a programme of yours", "unknown") from None
    job = bulk_credit.begin(
        call.session,
        programme=programme,
        amount=body.amount,
        reason=body.reason,
        actor=call.actor,
        now=call.now,
        numbers=body.cards,
        expires_on=body.expires_on,
        promotional=body.promotional,
        branch_id=call.key.branch_id,
    )
    return BulkCreditBegun(
        job=None if query.dry_run else present.bulk_job(job, call.now),
        cards=job.total,
        total_amount=job.total * body.amount,
        dry_run=query.dry_run,
    )


def list_bulk_jobs(call: Call) -> BulkJobList:
    """Jobs, newest first."""
    query: Page = call.query
    before = None
    if query.cursor is not None:
        try:
            before = _find(call, query.cursor)
        except NotFound:
            raise wrong("cursor", "is not a cursor of this list", "invalid") from None
    jobs = service.newest(
        call.session,
        organisation_id=call.key.organisation_id,
        before=before,
        limit=query.limit + 1,
    )
    shown = jobs[: query.limit]
    return BulkJobList(
        items=[present.bulk_job(job, call.now) for job in shown],
        next_cursor=shown[-1].public_id if len(jobs) > query.limit else None,
    )


def read_bulk_job(call: Call) -> BulkJobOut:
    """A job and how far it is."""
    return present.bulk_job(_find(call, call.path["job_id"]), call.now)


def pause_bulk_job(call: Call) -> BulkJobOut:
    """Stop a job where it is."""
    return _change(call, service.pause)


def resume_bulk_job(call: Call) -> BulkJobOut:
    """Let a job go on."""
    return _change(call, service.resume)


def _change(call: Call, verb: Any) -> BulkJobOut:
    job = _find(call, call.path["job_id"])
    owner = call.key.organisation_id
    job = verb(call.session, job.public_id, now=call.now, organisation_id=owner)
    return present.bulk_job(job, call.now)


def _find(call: Call, public_id: str) -> BulkJob:
    if not PUBLIC_ID.fullmatch(public_id):
        raise NotFound("There is no such bulk job.")
    return service.find(call.session, public_id, organisation_id=call.key.organisation_id)


_JOB: Final = {"job_id": "The job's id, as beginning or listing it answered."}
JOB_EXAMPLE: Final = {
    "id": "7m1p4r8t2v6x0z3b5d9f",
    "kind": "credit",
    "title": "Credit of 100 to cards of 'coffee'",
    "state": "running",
    "done": 41200,
    "total": 100000,
    "percent": 41,
    "rate": 3120.4,
    "remaining_seconds": 18.8,
    "words": "running",
    "result": {"credited": 41188, "skipped_closed": 12},
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "created_at": "2026-11-20T09:30:00Z",
    "finished_at": None,
}
_STILL: Final = {
    **JOB_EXAMPLE,
    "rate": None,
    "remaining_seconds": None,
    "words": "waiting for its turn",
}
_TAG: Final = "Bulk jobs"

OPERATIONS: Final = (
    Operation(
        id="beginBulkCredit",
        method="POST",
        path="/bulk-credits",
        tag=_TAG,
        scope=Scope.ADJUSTMENTS_WRITE,
        summary="Credit many cards",
        description="Begins a job that gives points to every open card of a programme, or to the "
        "cards on a list of up to 50 000 numbers; each is credited exactly once. Purchases go on "
        "meanwhile and go first. Cards that are closed, or too full, when their turn comes are "
        "left out and counted in the job's `result`.",
        handler=begin_bulk_credit,
        status=202,
        body=NewBulkCredit,
        body_example={
            "programme": "coffee",
            "amount": 100,
            "reason": "Five years of Coffee Club",
            "all_cards": True,
            "expires_on": "2026-12-31",
            "promotional": True,
        },
        query=DryRun,
        answer=BulkCreditBegun,
        answer_example={
            "job": {
                **JOB_EXAMPLE,
                "done": 0,
                "percent": 0,
                "rate": None,
                "remaining_seconds": None,
                "words": "waiting for its turn",
                "result": {},
            },
            "cards": 100000,
            "total_amount": 10000000,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused,),
    ),
    Operation(
        id="listBulkJobs",
        method="GET",
        path="/bulk-jobs",
        tag=_TAG,
        scope=Scope.OPERATIONS_READ,
        summary="List bulk jobs",
        description="Your organisation's jobs and those of the whole installation, newest first.",
        handler=list_bulk_jobs,
        query=Page,
        answer=BulkJobList,
        answer_example={"items": [JOB_EXAMPLE], "next_cursor": None},
    ),
    Operation(
        id="readBulkJob",
        method="GET",
        path="/bulk-jobs/{job_id}",
        tag=_TAG,
        scope=Scope.OPERATIONS_READ,
        summary="Read a bulk job",
        description="How far it is, how fast it goes, how long it still takes.",
        handler=read_bulk_job,
        answer=BulkJobOut,
        answer_example=JOB_EXAMPLE,
        path_parameters=_JOB,
    ),
    Operation(
        id="pauseBulkJob",
        method="POST",
        path="/bulk-jobs/{job_id}/pause",
        tag=_TAG,
        scope=Scope.OPERATIONS_WRITE,
        summary="Pause a bulk job",
        description="Stops it where it is; its last pushes leave within seconds. Pausing a paused "
        "job changes nothing. Send no body (`Content-Length: 0`).",
        handler=pause_bulk_job,
        answer=BulkJobOut,
        answer_example={**_STILL, "state": "paused", "words": "paused"},
        problems=(Conflict, Refused),
        path_parameters=_JOB,
    ),
    Operation(
        id="resumeBulkJob",
        method="POST",
        path="/bulk-jobs/{job_id}/resume",
        tag=_TAG,
        scope=Scope.OPERATIONS_WRITE,
        summary="Resume a bulk job",
        description="Lets a paused or failed job go on where it was. Resuming a running job "
        "changes nothing. Send no body (`Content-Length: 0`).",
        handler=resume_bulk_job,
        answer=BulkJobOut,
        answer_example=_STILL,
        problems=(Conflict, Refused),
        path_parameters=_JOB,
    ),
)
