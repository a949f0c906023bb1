"""Registering members, verifying their cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.access.staff import named_staff
from walletsvc.api import present, proofs
from walletsvc.api.members_schemas import ConsentsIn, Member, NewMember
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import CardRef
from walletsvc.core.actor import Actor
from walletsvc.core.errors import DuplicateMember, NotFound, PhoneNotProven, Refused, wrong
from walletsvc.enrolment import settings, sources
from walletsvc.enrolment.forms import Agreed, agreed_text
from walletsvc.enrolment.models import JoinSource
from walletsvc.enrolment.service import enrol
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.messaging.proving.service import Outcome, shown, status, use
from walletsvc.people.consents.models import Purpose, Way
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.service import find_programme


def create_member(call: Call) -> Member:
    """Register a person and issue the card."""
    body: NewMember = call.body
    programme = _programme(call, body.programme)
    rules = settings.of(call.session, programme)
    if body.proof is None and not rules.unproven:
        raise wrong("proof", "is needed: this programme registers proven phones only", "required")
    employee = _staff(call, body.employee, "employee")
    responsible = _staff(call, body.responsible, "responsible")
    proof = used_proof(call, body.proof, body.phone)
    if proof is not None and (body.consents is None or body.consents.data is None):
        raise wrong("consents.data", "is what the code agreed to: name the text", "required")
    linked = rules.card_link and proof is not None if body.send_link is None else body.send_link
    enrolled = enrol(
        call.session,
        programme=programme,
        phone=body.phone,
        first_name=body.first_name,
        last_name=body.last_name or "",
        birthday=body.birthday,
        email=body.email,
        language=body.language,
        consents=agreed_to(call, programme, body.consents),
        source=_source(call, programme, body.source),
        branch_id=call.key.branch_id,
        way=Way.TILL if proof or employee else Way.CRM,
        proof=proof,
        employee=Actor("staff", body.employee) if body.employee and employee else None,
        responsible_id=responsible,
        base_url=call.deps.settings.base_url if linked else "",
        actor=call.actor,
        now=call.now,
    )
    links = present.links(call.deps.settings, enrolled.card)
    return Member(
        card=CardRef(id=enrolled.card.public_id, number=enrolled.card.number),
        person=present.person(enrolled.person),
        page_url=links.page_url,
        apple_url=links.apple_url,
        google_url=links.google_url,
        verified_at=enrolled.card.verified_at,
    )


def used_proof(call: Call, proof: str | None, phone: str | None = None) -> PhoneProof | None:
    """The proof that a body names, used up here; raises PhoneNotProven."""
    if proof is None:
        return None
    subject = proofs.subject(call)
    try:
        return use(
            call.session,
            proof,
            purpose=ProofPurpose.TILL,
            subject=subject,
            phone=phone,
            now=call.now,
        )
    except PhoneNotProven:
        if _waits_for_code(call, proof, subject):
            raise PhoneNotProven("Check the code first: POST /proofs/{id}/code.") from None
        raise


def _waits_for_code(call: Call, proof: str, subject: str) -> bool:
    """Whether it is the caller's own, and its code was sent and not entered yet."""
    try:
        standing = status(call.session, proof, subject=subject, now=call.now)
        route = shown(call.session, proof, subject=subject).route
    except NotFound:
        return False
    return standing.outcome is Outcome.WAITING and route is Route.SMS


def _programme(call: Call, slug: str) -> Programme:
    try:
        programme = find_programme(call.session, call.key.organisation_id, slug)
    except NotFound:
        raise wrong("programme", "is not a programme of yours", "unknown") from None
    if programme.kind is ProgrammeKind.GIFT:
        raise wrong("programme", "issues gift certificates, not cards", "not_allowed")
    return programme


def _staff(call: Call, public_id: str | None, field: str) -> int | None:
    if public_id is None:
        return None
    return named_staff(call.session, call.key.organisation_id, public_id, field).id


def _source(call: Call, programme: Programme, code: str | None) -> JoinSource | None:
    if code is None:
        return None
    found = sources.by_code(call.session, code)
    if found is None or found.programme_id != programme.id:
        raise wrong("source", "is not a source of this programme", "unknown")
    return found


def agreed_to(call: Call, programme: Programme, body: ConsentsIn | None) -> Sequence[Agreed]:
    """The texts that a body says were agreed to; raises InputError naming them."""
    found: list[Agreed] = []
    data = body.data if body else None
    advertising = body.advertising if body else None
    if data is not None:
        field = "consents.data.text"
        text = agreed_text(call.session, programme, data.text, Purpose.DATA, field, call.now)
        found.append(Agreed(text))
    if advertising is not None:
        field = "consents.advertising.text"
        wanted = advertising.text
        text = agreed_text(call.session, programme, wanted, Purpose.ADVERTISING, field, call.now)
        found.append(Agreed(text, advertising.channels))
    return found


PERSON_EXAMPLE: Final = {
    "id": "6t0x3v8k2m9q4w7e1r5y",
    "first_name": "Анна",
    "last_name": "Кузнецова",
    "language": "ru",
}
LINKS_EXAMPLE: Final = {
    "page_url": "https://cards.example.com/c/mQ3fX0bT7yVh2KpLr9sWc4Ne8ZaUj6Dg",
    "apple_url": "https://cards.example.com/p/mQ3fX0bT7yVh2KpLr9sWc4Ne8ZaUj6Dg.pkpass",
    "google_url": "https://cards.example.com/g/mQ3fX0bT7yVh2KpLr9sWc4Ne8ZaUj6Dg",
}
PROOF_EXAMPLE: Final = "8q2w4e6r0t1y3v5x7z9b"

OPERATIONS: Final = (
    Operation(
        id="createMember",
        method="POST",
        path="/members",
        tag="Members",
        scope=Scope.MEMBERS_WRITE,
        summary="Register a member",
        description="Registers a person in a programme and issues a card, ready for the phone's "
        "wallet. A phone may be several people's: the same phone with another name is another "
        "person. Who has a card of the programme already is answered with 409 and the `card_id` of "
        "that card. At a till, first have the phone proven (`POST /proofs` with the purpose "
        "`till`): the customer is sent a code and what it agrees to, and dictates it; then give "
        "the proof, the consents and the employee here.",
        handler=create_member,
        status=201,
        body=NewMember,
        body_example={
            "programme": "coffee",
            "phone": "+7 900 123-45-67",
            "first_name": "Анна",
            "last_name": "Кузнецова",
            "birthday": "1991-04-23",
            "language": "ru",
            "proof": PROOF_EXAMPLE,
            "consents": {
                "data": {"text": "1m3p5r7t9v0x2z4b6d8f"},
                "advertising": {"text": "9f7d5b3z1x0v8t6r4p2m", "channels": ["sms", "wallet"]},
            },
            "employee": "4s6t8v0w2x4y6z8b0d2f",
        },
        answer=Member,
        answer_example={
            "card": {"id": "3h7k9m2p5r8t0v4x6z1b", "number": "9047182036514928"},
            "person": PERSON_EXAMPLE,
            **LINKS_EXAMPLE,
            "verified_at": "2026-11-20T10:15:42Z",
        },
        key=KeyRule.OPTIONAL,
        problems=(DuplicateMember, PhoneNotProven, Refused),
    ),
)
