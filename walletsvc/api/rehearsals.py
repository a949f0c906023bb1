"""Trying a draft of the rules on the purchases of a period."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.rehearsals_schemas import (
    NewRehearsal,
    RehearsalList,
    RehearsalOut,
    RehearsalResult,
    RehearsalSummary,
    RehearsedBranch,
    RehearsedCard,
    RehearsedRule,
    RehearsedSums,
)
from walletsvc.api.rules import PROGRAMME_PATH, no_cursor, own_programme
from walletsvc.api.schemas import Page
from walletsvc.core.errors import Conflict, NotFound
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.jobs.bulk import BulkState
from walletsvc.programmes.models import Programme
from walletsvc.sales.rehearsing import service
from walletsvc.sales.rehearsing.models import Rehearsal
from walletsvc.sales.rehearsing.reports import CardSums, Report, report


def begin(call: Call) -> RehearsalOut:
    """Begin to try the draft."""
    body: NewRehearsal = call.body
    programme = own_programme(call)
    rehearsal = service.begin(
        call.session, programme, body.since, body.until, body.branches, call.actor, call.now
    )
    return _whole(call, programme, rehearsal)


def read(call: Call) -> RehearsalOut:
    """A rehearsal with its figures."""
    programme = own_programme(call)
    return _whole(call, programme, _find(call, programme, call.path["rehearsal_id"]))


def list_all(call: Call) -> RehearsalList:
    """The programme's rehearsals, newest first."""
    query: Page = call.query
    programme = own_programme(call)
    before = None
    if query.cursor is not None:
        try:
            before = _find(call, programme, query.cursor).id
        except NotFound:
            raise no_cursor() from None
    found = service.newest(call.session, programme, before=before, limit=query.limit + 1)
    shown = found[: query.limit]
    return RehearsalList(
        items=[RehearsalSummary(**_told(call, each)) for each in shown],
        next_cursor=shown[-1].public_id if len(found) > query.limit else None,
    )


def _find(call: Call, programme: Programme, public_id: str) -> Rehearsal:
    if not PUBLIC_ID.fullmatch(public_id):
        raise NotFound("There is no such rehearsal.")
    return service.find(call.session, programme, public_id)


def _told(call: Call, rehearsal: Rehearsal) -> dict[str, Any]:
    number, older = service.version_of(call.session, rehearsal)
    return {
        "id": rehearsal.public_id,
        "rules_version": number,
        "of_older_draft": older,
        "from": rehearsal.first_day,
        "until": rehearsal.last_day,
        "branches": rehearsal.branches,
        "job": present.bulk_job(service.job_of(call.session, rehearsal), call.now),
        "actor": rehearsal.actor,
        "created_at": rehearsal.created_at,
    }


def _whole(call: Call, programme: Programme, rehearsal: Rehearsal) -> RehearsalOut:
    told = _told(call, rehearsal)
    done = told["job"].state is BulkState.DONE
    if done:
        # Read before its job, it may be from before the last piece: figures and end are one commit.
        call.session.refresh(rehearsal)
    result = _result(report(call.session, programme, rehearsal)) if done else None
    return RehearsalOut(**told, result=result)


def _result(found: Report) -> RehearsalResult:
    return RehearsalResult(
        totals=RehearsedSums(**asdict(found.sums)),
        cards=found.cards,
        winners=found.winners,
        losers=found.losers,
        won=found.won,
        lost=found.lost,
        liability=found.liability,
        liability_money=found.liability_money,
        branches=[
            RehearsedBranch(branch=each.branch, name=each.name, **asdict(each.sums))
            for each in found.branches
        ],
        rules=[
            RehearsedRule.model_validate(
                {
                    "rule": each.rule,
                    "promotion": each.promotion,
                    "name": each.names,
                    "unit": each.unit,
                    "before": each.before,
                    "after": each.after,
                }
            )
            for each in found.rules
        ],
        top_winners=[_card(each) for each in found.top_winners],
        top_losers=[_card(each) for each in found.top_losers],
    )


def _card(found: CardSums) -> RehearsedCard:
    return RehearsedCard(card_id=found.card, gain=found.gain, purchases=found.purchases)


_JOB: Final[dict[str, Any]] = {
    "id": "7m1p4r8t2v6x0z3b5d9f",
    "kind": "rehearsal",
    "title": "Rehearsal of version 4 of 'coffee', 2026-08-01 to 2026-10-31",
    "state": "done",
    "done": 4324,
    "total": 4324,
    "percent": 100,
    "rate": 2070.3,
    "remaining_seconds": None,
    "words": "done",
    "result": {"purchases": 61200, "cards": 3981, "winners": 2804, "losers": 1122},
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "created_at": "2026-11-20T09:30:00Z",
    "finished_at": "2026-11-20T09:30:31Z",
}
_SUMS: Final = {
    "purchases": 61200,
    "earned_before": 918400,
    "earned_after": 1102080,
    "stamps_before": 0,
    "stamps_after": 0,
    "discount_before": 0,
    "discount_after": 3120000,
    "spent_before": 401000,
    "spent_after": 401000,
    "cost_before": 91840000,
    "cost_after": 113328000,
}
_SUMMARY: Final[dict[str, Any]] = {
    "id": "4h8k0m2p6r9t1v3x5z7b",
    "rules_version": 4,
    "of_older_draft": False,
    "from": "2026-08-01",
    "until": "2026-10-31",
    "branches": [],
    "job": _JOB,
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "created_at": "2026-11-20T09:30:00Z",
}
_RESULT: Final[dict[str, Any]] = {
    "totals": _SUMS,
    "cards": 3981,
    "winners": 2804,
    "losers": 1122,
    "won": 23900000,
    "lost": 2412000,
    "liability": 183680,
    "liability_money": 18368000,
    "branches": [{**_SUMS, "branch": "9b2d5f8h1k4n7r0t3w6z", "name": "На набережной"}],
    "rules": [
        {"rule": "promotion", "promotion": "tea", "name": {"ru": "Чай", "en": "Tea"},
         "unit": "money", "before": 0, "after": 3120000},
        {"rule": "base", "promotion": None, "name": None,
         "unit": "points", "before": 918400, "after": 1102080},
    ],
    "top_winners": [{"card_id": "3h7k9m2p5r8t0v4x6z1b", "gain": 412000, "purchases": 74}],
    "top_losers": [{"card_id": "6k8m0p2r4t6v8x0z2b4d", "gain": -98000, "purchases": 12}],
}  # fmt: skip

OPERATIONS: Final = (
    Operation(
        id="rehearseRules",
        method="POST",
        path="/programmes/{slug}/rules/rehearsals",
        tag="Rules",
        scope=Scope.RULES_WRITE,
        summary="Try the draft on past purchases",
        description="Begins a job that computes each purchase of the period anew, as if the draft "
        "had always been the rules: what it would have cost, who gains, who loses. Purchases that "
        "were returned as a whole or corrected are left out, of others what came back is. A card "
        "that joins or leaves a group meanwhile may be left out. Nothing else is written.",
        handler=begin,
        status=202,
        body=NewRehearsal,
        body_example={"from": "2026-08-01", "until": "2026-10-31", "branches": []},
        answer=RehearsalOut,
        answer_example={
            **_SUMMARY,
            "job": {
                **_JOB, "state": "running", "done": 0, "percent": 0, "rate": None, "result": {},
                "words": "waiting for its turn", "finished_at": None,
            },
            "result": None,
        },
        key=KeyRule.OPTIONAL,
        problems=(Conflict,),
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="listRehearsals",
        method="GET",
        path="/programmes/{slug}/rules/rehearsals",
        tag="Rules",
        scope=Scope.RULES_READ,
        summary="List rehearsals",
        description="Newest first, with how far each is; without what they found.",
        handler=list_all,
        query=Page,
        answer=RehearsalList,
        answer_example={"items": [_SUMMARY], "next_cursor": None},
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="readRehearsal",
        method="GET",
        path="/programmes/{slug}/rules/rehearsals/{rehearsal_id}",
        tag="Rules",
        scope=Scope.RULES_READ,
        summary="Read a rehearsal",
        description="How far it is, and when its job is done what it found. It stays with the "
        "version of the rules that it tried; `of_older_draft` says that the draft was changed "
        "since.",
        handler=read,
        answer=RehearsalOut,
        answer_example={**_SUMMARY, "result": _RESULT},
        path_parameters=PROGRAMME_PATH
        | {"rehearsal_id": "The rehearsal's id, as beginning or listing it answered."},
    ),
)  # fmt: skip
