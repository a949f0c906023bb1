"""Changing a person's phone for them, and what was changed."""

from __future__ import annotations

from typing import Any, Final

from walletsvc.access.models import Staff
from walletsvc.access.rules import Scope
from walletsvc.access.staff import named_staff
from walletsvc.api.members import PERSON_EXAMPLE, PROOF_EXAMPLE, used_proof
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.phones_schemas import NewPhoneChange, PhoneChangeList, PhoneChangeOut
from walletsvc.api.schemas import DryRun
from walletsvc.core.errors import Conflict, PhoneNotProven
from walletsvc.enrolment.phones import service
from walletsvc.enrolment.phones.models import PhoneChange
from walletsvc.people.models import Person
from walletsvc.people.queries import find_person
from walletsvc.people.rules import masked_phone


def change_phone(call: Call) -> PhoneChangeOut:
    """Another phone takes the old one's place."""
    body: NewPhoneChange = call.body
    query: DryRun = call.query
    own = call.key.organisation_id
    employee = body.employee and named_staff(call.session, own, body.employee, "employee")
    made = service.change(
        call.session,
        find_person(call.session, own, call.path["person_id"]),
        former=body.former,
        phone=body.phone,
        proof=used_proof(call, body.proof, body.phone),
        shared=body.shared,
        mistyped=body.mistyped,
        reason=body.reason,
        employee=employee or None,
        actor=call.actor,
        now=call.now,
    )
    return _told(call, made, dry_run=query.dry_run)


def list_changes(call: Call) -> PhoneChangeList:
    """What took whose place."""
    person = find_person(call.session, call.key.organisation_id, call.path["person_id"])
    found = service.history(call.session, person)
    return PhoneChangeList(items=[_told(call, each) for each in found])


def _told(call: Call, made: PhoneChange, *, dry_run: bool = False) -> PhoneChangeOut:
    employee = made.employee_id and call.session.get_one(Staff, made.employee_id).public_id
    return PhoneChangeOut(
        id=None if dry_run else made.public_id,
        person=call.session.get_one(Person, made.person_id).public_id,
        former=masked_phone(made.former) if made.former else None,
        phone=masked_phone(made.phone) if made.phone else "",
        proven=made.proven,
        told=made.told,
        reason=made.reason,
        employee=employee or None,
        actor=made.actor,
        changed_at=made.changed_at,
        dry_run=dry_run,
    )


_EMPLOYEE: Final = "4s6t8v0w2x4y6z8b0d2f"
_CHANGE: Final[dict[str, Any]] = {
    "id": "2b4d6f8h0k2n4q6s8v0x",
    "person": PERSON_EXAMPLE["id"],
    "former": "+7 ••• ••• 45 67",
    "phone": "+7 ••• ••• 65 43",
    "proven": True,
    "told": True,
    "reason": "Потеряла SIM-карту, паспорт показала",
    "employee": _EMPLOYEE,
    "actor": "api-key:4m6p8r0t2w4y6a8c0e2g",
    "changed_at": "2026-11-20T10:15:42Z",
    "dry_run": False,
}
_PATH: Final = {"person_id": "The person's id, as a card names its holder."}
_TAG: Final = "Persons"

OPERATIONS: Final = (
    Operation(
        id="changePersonPhone",
        method="POST",
        path="/persons/{person_id}/phone-changes",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="Change a person's phone",
        description="For somebody who lost the old phone and so cannot change it on the card's "
        "page. The new phone takes the old one's place, every browser is logged out, and the old "
        "phone is told by SMS. Have the new one proven first (`POST /proofs` with the purpose "
        "`till`). Nobody is merged by this: if somebody of the same name has the new phone, the "
        "answer is 409 with `merge_with`; if others have it, 409 with `people`, unless it is "
        "`shared`.",
        handler=change_phone,
        status=201,
        body=NewPhoneChange,
        body_example={
            "former": "8 900 123-45-67",
            "phone": "8 900 765-65-43",
            "proof": PROOF_EXAMPLE,
            "employee": _EMPLOYEE,
            "reason": _CHANGE["reason"],
        },
        query=DryRun,
        answer=PhoneChangeOut,
        answer_example=_CHANGE,
        key=KeyRule.REQUIRED,
        problems=(Conflict, PhoneNotProven),
        path_parameters=_PATH,
    ),
    Operation(
        id="listPhoneChanges",
        method="GET",
        path="/persons/{person_id}/phone-changes",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="List a person's changes of phone",
        description="By staff and by themselves, the newest first. Empty phones are of a person "
        "who was erased.",
        handler=list_changes,
        answer=PhoneChangeList,
        answer_example={"items": [_CHANGE]},
        path_parameters=_PATH,
    ),
)
