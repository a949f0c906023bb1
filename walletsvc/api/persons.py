"""People: finding them, changing what is known of them, verifying their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlmodel import col, select

from walletsvc.access.models import Staff
from walletsvc.access.rules import Scope
from walletsvc.access.staff import named_staff
from walletsvc.api import present
from walletsvc.api.cards import CARD_EXAMPLE, CARD_PATH, find_card, read_card
from walletsvc.api.members import PERSON_EXAMPLE, PROOF_EXAMPLE, agreed_to, used_proof
from walletsvc.api.members_schemas import (
    MOST_FOUND,
    FoundCard,
    FoundMember,
    MemberSearch,
    MembersFound,
    NewVerification,
    PersonChange,
    PersonDetail,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import CardOut
from walletsvc.cards.models import Card
from walletsvc.cards.plastic import service as plastic
from walletsvc.core.errors import FieldError, InputError, PhoneNotProven, Refused, wrong
from walletsvc.enrolment.doors import Door
from walletsvc.enrolment.service import agree
from walletsvc.enrolment.verification import verify
from walletsvc.jobs.changes import touch
from walletsvc.people import queries
from walletsvc.people.consents.models import Way
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.phones import people_of
from walletsvc.people.rules import masked_phone
from walletsvc.people.service import change_person
from walletsvc.programmes.models import Programme
from walletsvc.web.json_body import BODY

_WAYS: Final = ("phone", "plastic_number", "name")


def search(call: Call) -> MembersFound:
    """Who it is."""
    body: MemberSearch = call.body
    given = [name for name in _WAYS if getattr(body, name) is not None]
    if not given:
        raise InputError(
            "Give one of phone, plastic_number, name.",
            (FieldError(BODY, "give one of phone, plastic_number, name", "required"),),
        )
    if len(given) > 1:
        words = "must be the only one of phone, plastic_number and name"
        raise wrong(given[1], words, "not_allowed")
    if body.birthday is not None and body.name is None:
        raise wrong("birthday", "goes with `name`", "not_allowed")
    people = _people(call, body)
    shown = people[:MOST_FOUND]
    ids = [person.id for person in shown]
    cards, phones = _cards(call, ids), _phones(call, ids)
    return MembersFound(
        items=[
            FoundMember(
                person=present.person(person),
                birthday=person.birthday,
                phones=phones.get(person.id, []),
                cards=cards.get(person.id, []),
            )
            for person in shown
        ],
        more=len(people) > MOST_FOUND,
    )


def read_person(call: Call) -> PersonDetail:
    """What is known of a person."""
    own = call.key.organisation_id
    return _person(call, queries.find_person(call.session, own, call.path["person_id"]))


def update_person(call: Call) -> PersonDetail:
    """Change what is known of a person; their passes say it."""
    body: PersonChange = call.body
    own = call.key.organisation_id
    found = queries.find_person(call.session, own, call.path["person_id"], lock=True)
    values: dict[str, Any] = body.model_dump(exclude_unset=True)
    for name in ("first_name", "last_name", "language"):
        if name in values and values[name] is None:
            raise wrong(name, "must not be null", "required")
    if "responsible" in values:
        named = values.pop("responsible")
        values["responsible_id"] = (
            None if named is None else named_staff(call.session, own, named, "responsible").id
        )
    change_person(found, values, call.now)
    cards = call.session.exec(select(Card.id).where(Card.person_id == found.id)).all()
    touch(call.session, "card", cards, at=call.now)
    call.session.flush()
    return _person(call, found)


def verify_card(call: Call) -> CardOut:
    """The holder proved a phone."""
    body: NewVerification = call.body
    view = find_card(call)
    proof = used_proof(call, body.proof)
    if proof is None:
        raise AssertionError("the body always names one")
    programme = call.session.get_one(Programme, view.card.programme_id)
    consents = agreed_to(call, programme, body.consents)
    card = verify(call.session, view.card, proof, actor=call.actor, now=call.now)
    person = call.session.get_one(Person, card.person_id)
    door = Door(Way.TILL, call.actor, language=person.language, phone=proof.phone, proof=proof)
    agree(call.session, person, consents, door, call.now)
    return read_card(call)


def _people(call: Call, body: MemberSearch) -> Sequence[Person]:
    own = call.key.organisation_id
    if body.phone is not None:
        return people_of(call.session, own, body.phone)
    if body.plastic_number is not None:
        card = plastic.find(call.session, own, body.plastic_number)
        return [] if card is None else [call.session.get_one(Person, card.person_id)]
    name = body.name or ""
    return queries.by_name(call.session, own, name, body.birthday, limit=MOST_FOUND + 1)


def _cards(call: Call, person_ids: Sequence[int]) -> Mapping[int, list[FoundCard]]:
    found: dict[int, list[FoundCard]] = {}
    rows = call.session.exec(
        select(Card, Programme.slug)
        .join(Programme, col(Programme.id) == col(Card.programme_id))
        .where(
            col(Card.person_id).in_(person_ids),
            Programme.organisation_id == call.key.organisation_id,
        )
        .order_by(col(Card.id))
    )
    for card, slug in rows:
        found.setdefault(card.person_id, []).append(
            FoundCard(
                id=card.public_id,
                number=card.number,
                programme=slug,
                verified_at=card.verified_at,
                closed_at=card.closed_at,
            )
        )
    return found


def _phones(call: Call, person_ids: Sequence[int]) -> Mapping[int, list[str]]:
    found: dict[int, list[str]] = {}
    rows = call.session.exec(
        select(PersonPhone.person_id, Phone.e164)
        .join(Phone, col(Phone.id) == col(PersonPhone.phone_id))
        .where(col(PersonPhone.person_id).in_(person_ids))
        .order_by(col(PersonPhone.created_at), col(Phone.id))
    )
    for person_id, e164 in rows:
        found.setdefault(person_id, []).append(masked_phone(e164))
    return found


def _person(call: Call, found: Person) -> PersonDetail:
    responsible = None
    if found.responsible_id is not None:
        responsible = call.session.get_one(Staff, found.responsible_id).public_id
    return PersonDetail(
        **present.person(found).model_dump(),
        birthday=found.birthday,
        email=found.email,
        responsible=responsible,
        created_at=found.created_at,
        closed_at=found.closed_at,
    )


_PATH: Final = {"person_id": "The person's id, as registering or searching answered it."}
_DETAIL: Final = {
    **PERSON_EXAMPLE,
    "birthday": "1991-04-23",
    "email": "anna@example.com",
    "responsible": "4s6t8v0w2x4y6z8b0d2f",
    "created_at": "2026-11-01T09:30:00Z",
    "closed_at": None,
}

OPERATIONS: Final = (
    Operation(
        id="searchMembers",
        method="POST",
        path="/members/search",
        tag="Members",
        scope=Scope.MEMBERS_READ,
        summary="Find members",
        description="By phone (it may be several people's), by the number of a plastic card, or by "
        "how the name begins, with the birthday if there are many. Nobody found is an empty list. "
        "What a card has done is read with its id.",
        handler=search,
        body=MemberSearch,
        body_example={"phone": "8 900 123-45-67"},
        answer=MembersFound,
        answer_example={
            "items": [
                {
                    "person": PERSON_EXAMPLE,
                    "birthday": "1991-04-23",
                    "phones": ["+7 ••• ••• 45 67"],
                    "cards": [
                        {
                            "id": "3h7k9m2p5r8t0v4x6z1b",
                            "number": "9047182036514928",
                            "programme": "coffee",
                            "verified_at": "2026-11-20T10:15:42Z",
                            "closed_at": None,
                        }
                    ],
                }
            ],
            "more": False,
        },
    ),
    Operation(
        id="readPerson",
        method="GET",
        path="/persons/{person_id}",
        tag="Members",
        scope=Scope.MEMBERS_READ,
        summary="Read a person",
        description="What is known of a person, without phones.",
        handler=read_person,
        answer=PersonDetail,
        answer_example=_DETAIL,
        path_parameters=_PATH,
    ),
    Operation(
        id="updatePerson",
        method="PATCH",
        path="/persons/{person_id}",
        tag="Members",
        scope=Scope.MEMBERS_WRITE,
        summary="Change a person",
        description="Name, birthday, e-mail, language, and the employee who is told of them. What "
        "is left out stays; null empties birthday, e-mail and the employee. The passes in the "
        "person's phone say it. A phone is changed by the person's own proof, or by "
        "`POST /persons/{person_id}/phone-changes`.",
        handler=update_person,
        body=PersonChange,
        body_example={"email": "anna@example.com", "responsible": "4s6t8v0w2x4y6z8b0d2f"},
        answer=PersonDetail,
        answer_example=_DETAIL,
        problems=(Refused,),
        path_parameters=_PATH,
    ),
    Operation(
        id="verifyCard",
        method="POST",
        path="/cards/{card_id}/verification",
        tag="Members",
        scope=Scope.MEMBERS_WRITE,
        summary="Verify a card",
        description="The holder proved a phone of theirs after the card was issued: from now on "
        "the card counts as verified, and what new members get and was kept back comes. Again with "
        "another proof, nothing changes.",
        handler=verify_card,
        body=NewVerification,
        body_example={"proof": PROOF_EXAMPLE},
        answer=CardOut,
        answer_example=CARD_EXAMPLE,
        key=KeyRule.OPTIONAL,
        problems=(PhoneNotProven, Refused),
        path_parameters=CARD_PATH,
    ),
)
