"""Employees: whom notices go to, and whose word a consent at the till is."""

from __future__ import annotations

from typing import Any, Final

from walletsvc.access import staff
from walletsvc.access.models import Staff
from walletsvc.access.rules import Scope
from walletsvc.api.enrolment_schemas import NewStaff, StaffList, StaffOut
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import Page
from walletsvc.core.errors import NotFound, wrong

_TAG: Final = "Staff"


def list_all(call: Call) -> StaffList:
    """Everybody."""
    query: Page = call.query
    own, after = call.key.organisation_id, 0
    if query.cursor is not None:
        try:
            after = staff.find_staff(call.session, own, query.cursor).id
        except NotFound:
            raise wrong("cursor", "is not a cursor of this list") from None
    found = staff.list_staff(call.session, own, after=after, limit=query.limit + 1)
    shown = found[: query.limit]
    return StaffList(
        items=[_out(each) for each in shown],
        next_cursor=shown[-1].public_id if len(found) > query.limit else None,
    )


def create(call: Call) -> StaffOut:
    """Somebody new."""
    body: NewStaff = call.body
    return _out(
        staff.create_staff(
            call.session,
            organisation_id=call.key.organisation_id,
            name=body.name,
            phone=body.phone,
            email=body.email,
            language=body.language,
            now=call.now,
        )
    )


def close(call: Call) -> StaffOut:
    """Let somebody go."""
    found = staff.find_staff(call.session, call.key.organisation_id, call.path["staff_id"])
    return _out(staff.close_staff(call.session, found, call.now))


def _out(employee: Staff) -> StaffOut:
    return StaffOut(
        id=employee.public_id,
        name=employee.name,
        phone=employee.phone,
        email=employee.email,
        language="en" if employee.language == "en" else "ru",
        created_at=employee.created_at,
        closed_at=employee.closed_at,
    )


_EXAMPLE: Final[dict[str, Any]] = {
    "id": "4s6t8v0w2x4y6z8b0d2f",
    "name": "Ольга Смирнова",
    "phone": "+79001112233",
    "email": "olga@example.com",
    "language": "ru",
    "created_at": "2026-11-01T09:30:00Z",
    "closed_at": None,
}

OPERATIONS: Final = (
    Operation(
        id="listStaff",
        method="GET",
        path="/staff",
        tag=_TAG,
        scope=Scope.STAFF_READ,
        summary="List employees",
        description="Everybody who works or worked for the organisation.",
        handler=list_all,
        query=Page,
        answer=StaffList,
        answer_example={"items": [_EXAMPLE], "next_cursor": None},
    ),
    Operation(
        id="createStaff",
        method="POST",
        path="/staff",
        tag=_TAG,
        scope=Scope.STAFF_WRITE,
        summary="Add an employee",
        description="Somebody who registers members, answers for a branch or for persons, and is "
        "told of new members by e-mail or SMS.",
        handler=create,
        status=201,
        body=NewStaff,
        body_example={
            "name": "Ольга Смирнова",
            "phone": "+7 900 111-22-33",
            "email": "olga@example.com",
        },
        answer=StaffOut,
        answer_example=_EXAMPLE,
        key=KeyRule.OPTIONAL,
    ),
    Operation(
        id="closeStaff",
        method="DELETE",
        path="/staff/{staff_id}",
        tag=_TAG,
        scope=Scope.STAFF_WRITE,
        summary="Let an employee go",
        description="No notices come any more, and nothing new can name them. What they did stays "
        "theirs.",
        handler=close,
        answer=StaffOut,
        answer_example=_EXAMPLE | {"closed_at": "2026-11-20T10:15:42Z"},
        path_parameters={"staff_id": "The employee's id, as adding them answered."},
    ),
)
