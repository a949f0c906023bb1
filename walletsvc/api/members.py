"""Registering members."""

from __future__ import annotations

from typing import Final

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import CardRef, Member, NewMember
from walletsvc.core.errors import DuplicateMember, NotFound, Refused, wrong
from walletsvc.enrolment.service import enrol
from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.service import find_programme


def create_member(call: Call) -> Member:
    """Register a person and issue the card."""
    body: NewMember = call.body
    try:
        programme = find_programme(call.session, call.key.organisation_id, body.programme)
    except NotFound:
        raise wrong("programme", "is not a programme of yours", "unknown") from None
    if programme.kind is ProgrammeKind.GIFT:
        raise wrong("programme", "issues gift certificates, not cards", "not_allowed")
    enrolled = enrol(
        call.session,
        programme=programme,
        phone=body.phone,
        first_name=body.first_name,
        last_name=body.last_name or "",
        birthday=body.birthday,
        language=body.language,
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
    )


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

OPERATIONS: Final = (
    Operation(
        id="createMember",
        method="POST",
        path="/members",
        tag="Members",
        scope=Scope.MEMBERS_WRITE,
        summary="Register a member",
        description="Registers a person in a points programme and issues a card, ready for the "
        "phone's wallet. A phone may be several people's: the same phone with another name is "
        "another person. Who has a card of the programme already is answered with 409 and the "
        "`card_id` of that card.",
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
        },
        answer=Member,
        answer_example={
            "card": {"id": "3h7k9m2p5r8t0v4x6z1b", "number": "9047182036514928"},
            "person": PERSON_EXAMPLE,
            **LINKS_EXAMPLE,
        },
        key=KeyRule.OPTIONAL,
        problems=(DuplicateMember, Refused),
    ),
)
