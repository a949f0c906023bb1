"""What organisations owe each other: statements, the lines behind them, settlements."""

from __future__ import annotations

from typing import Any, Final

from sqlmodel import select

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import DryRun
from walletsvc.api.statements_schemas import (
    AcceptanceList,
    AcceptanceOut,
    BranchRef,
    LineList,
    LineOut,
    LinesOfPeriod,
    MovementOut,
    NewSettlement,
    OrganisationOut,
    Period,
    SettlementOut,
    StatementList,
    StatementOut,
    UnitOut,
)
from walletsvc.core.errors import Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger import settlement, statements
from walletsvc.ledger.statements import Statement, StatementLine
from walletsvc.merchants.acceptance import list_acceptances
from walletsvc.merchants.models import Organisation


def read_statements(call: Call) -> StatementList:
    """What is owed to and by others."""
    query: Period = call.query
    found = statements.statements(call.session, call.key.organisation_id, **_period(call, query))
    return StatementList(
        **{"from": query.since, "to": query.until}, items=[_statement(each) for each in found]
    )


def list_lines(call: Call) -> LineList:
    """The transactions behind it."""
    query: LinesOfPeriod = call.query
    own = call.key.organisation_id
    period = _period(call, query)
    after = None
    if query.cursor is not None:
        if PUBLIC_ID.fullmatch(query.cursor):
            after = statements.place(call.session, own, query.cursor)
        if after is None:
            raise wrong("cursor", "is not a cursor of this list", "invalid")
    found = list(
        statements.lines(
            call.session, own, **period, unit=query.unit, after=after, limit=query.limit + 1
        )
    )
    shown = found[: query.limit]
    return LineList(
        items=[_line(each) for each in shown],
        next_cursor=shown[-1].public_id if len(found) > query.limit else None,
    )


def create_settlement(call: Call) -> SettlementOut:
    """Write down that another paid what it owed."""
    body: NewSettlement = call.body
    query: DryRun = call.query
    creditor = call.session.get_one(Organisation, call.key.organisation_id)
    debtor_id = _partner(call, "debtor", body.debtor)
    unit_id = statements.unit_between(call.session, creditor.id, debtor_id, body.unit)
    if unit_id is None:
        raise wrong("unit", "is not a unit in which you two ever dealt", "unknown")
    pair = {"debtor_id": debtor_id, "creditor_id": creditor.id, "unit_id": unit_id}
    paid = settlement.settle_up(
        call.session,
        **pair,
        amount=body.amount,
        actor=call.actor,
        reason=body.reason,
        now=call.now,
    )
    return SettlementOut(
        id=None if query.dry_run else paid.public_id,
        debtor=body.debtor,
        creditor=creditor.slug,
        unit=body.unit,
        amount=body.amount,
        owed=settlement.owed(call.session, **pair),
        reason=paid.reason,
        at=paid.at,
        dry_run=query.dry_run,
    )


def read_acceptances(call: Call) -> AcceptanceList:
    """Whose value is taken by whom."""
    return AcceptanceList(
        items=[
            AcceptanceOut(
                issuer=OrganisationOut(slug=row.issuer.slug, name=row.issuer.name),
                acceptor=OrganisationOut(slug=row.acceptor.slug, name=row.acceptor.name),
                points=row.points,
                certificates=row.certificates,
                created_at=row.created_at,
            )
            for row in list_acceptances(call.session, call.key.organisation_id)
        ]
    )


def _period(call: Call, query: Period) -> dict[str, Any]:
    if query.until <= query.since:
        raise wrong("to", "must be later than `from`", "out_of_range")
    partner = None
    if query.counterparty is not None:
        partner = _partner(call, "with", query.counterparty)
    return {"since": query.since, "until": query.until, "counterparty_id": partner}


def _partner(call: Call, field: str, slug: str) -> int:
    """An organisation the caller deals with; any other is as unknown as one that is none."""
    own = call.key.organisation_id
    found = call.session.exec(select(Organisation).where(Organisation.slug == slug)).first()
    if found is None or not statements.dealt_with(call.session, own, found.id):
        raise wrong(field, "is not an organisation that you deal with", "unknown")
    return found.id


def _statement(found: Statement) -> StatementOut:
    return StatementOut(
        counterparty=OrganisationOut(slug=found.counterparty, name=found.counterparty_name),
        unit=UnitOut(code=found.unit, kind=found.unit_kind, scale=found.scale),
        opening=found.opening,
        movements=[
            MovementOut(
                kind=each.movement,
                organisation=each.organisation,
                count=each.count,
                amount=each.amount,
            )
            for each in found.movements
        ],
        closing=found.closing,
    )


def _line(found: StatementLine) -> LineOut:
    branch = None
    if found.branch is not None:
        branch = BranchRef(id=found.branch, name=found.branch_name or "")
    return LineOut(
        id=found.public_id,
        at=found.at,
        counterparty=found.counterparty,
        unit=found.unit,
        kind=found.movement,
        organisation=found.organisation,
        branch=branch,
        amount=found.amount,
        total=found.total,
        reason=found.reason,
    )


_HOTEL: Final = {"slug": "hotel", "name": "Hotel Aurora"}
_RESTAURANT: Final = {"slug": "restaurant", "name": "Restaurant Veranda"}
_LINE_EXAMPLE: Final = {
    "id": "8w2e4r6t0y1v3x5z7b9d",
    "at": "2026-11-20T18:04:11Z",
    "counterparty": "restaurant",
    "unit": "points:hotel",
    "kind": "redeemed",
    "organisation": "hotel",
    "branch": {"id": "2b4d6f8h0k1m3p5r7t9v", "name": "Veranda on the quay"},
    "amount": 300,
    "total": 1500,
    "reason": "",
}
_SETTLEMENT_EXAMPLE: Final = {
    "debtor": "restaurant",
    "unit": "RUB",
    "amount": 450000,
    "reason": "Payment order 117 of 3 December 2026",
}

OPERATIONS: Final = (
    Operation(
        id="readStatements",
        method="GET",
        path="/statements",
        tag="Organisations",
        scope=Scope.STATEMENTS_READ,
        summary="Read what organisations owe each other",
        description="For each organisation you deal with and each unit: what was owed at the "
        "beginning, what changed it, what is owed at the end. The end of one period is the "
        "beginning of the next, and the other organisation reads the same with minus signs.",
        handler=read_statements,
        query=Period,
        answer=StatementList,
        answer_example={
            "from": "2026-11-01T00:00:00Z",
            "to": "2026-12-01T00:00:00Z",
            "items": [
                {
                    "counterparty": _RESTAURANT,
                    "unit": {"code": "points:hotel", "kind": "points", "scale": 0},
                    "opening": 1200,
                    "movements": [
                        {"kind": "redeemed", "organisation": "hotel", "count": 2, "amount": 700},
                        {"kind": "settled", "organisation": "hotel", "count": 1, "amount": -1200},
                    ],
                    "closing": 700,
                }
            ],
        },
    ),
    Operation(
        id="listStatementLines",
        method="GET",
        path="/statements/lines",
        tag="Organisations",
        scope=Scope.STATEMENTS_READ,
        summary="List the transactions behind statements",
        description="Each transaction that changed what is owed, oldest first, with what was "
        "owed after it.",
        handler=list_lines,
        query=LinesOfPeriod,
        answer=LineList,
        answer_example={"items": [_LINE_EXAMPLE], "next_cursor": None},
    ),
    Operation(
        id="createSettlement",
        method="POST",
        path="/settlements",
        tag="Organisations",
        scope=Scope.SETTLEMENTS_WRITE,
        summary="Write down that another organisation paid",
        description="Lessens what another organisation owes yours. Only who is owed can say "
        "that it was paid. More than is owed is refused, and `owed` says how much it is; two "
        "payments at once cannot both pay the last of it.",
        handler=create_settlement,
        body=NewSettlement,
        body_example=_SETTLEMENT_EXAMPLE,
        query=DryRun,
        answer=SettlementOut,
        answer_example={
            "id": "8w2e4r6t0y1v3x5z7b9d",
            **_SETTLEMENT_EXAMPLE,
            "creditor": "hotel",
            "owed": 0,
            "at": "2026-12-03T12:00:00Z",
            "dry_run": False,
        },
        status=201,
        key=KeyRule.REQUIRED,
        problems=(Refused,),
    ),
    Operation(
        id="readAcceptances",
        method="GET",
        path="/acceptances",
        tag="Organisations",
        scope=Scope.STATEMENTS_READ,
        summary="Read who accepts what",
        description="Whose points and certificates your tills take, and who takes yours.",
        handler=read_acceptances,
        answer=AcceptanceList,
        answer_example={
            "items": [
                {
                    "issuer": _HOTEL,
                    "acceptor": _RESTAURANT,
                    "points": True,
                    "certificates": False,
                    "created_at": "2026-11-01T09:00:00Z",
                }
            ]
        },
    ),
)
