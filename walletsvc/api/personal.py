"""Persons: making one of two rows, telling everything about one, taking one out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import col, select

from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.members import PERSON_EXAMPLE
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.personal_schemas import (
    CardPoints,
    MergedCard,
    NewErasure,
    NewMerge,
    NewParting,
    PersonErasure,
    PersonExport,
    PersonMergeList,
    PersonMergeOut,
)
from walletsvc.api.schemas import CardRef, DryRun
from walletsvc.cards.merging.models import CardMerge
from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, NotFound, Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.enrolment.merging import service
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.enrolment.personal.export import export
from walletsvc.people.models import Person
from walletsvc.people.queries import find_person


def merge_persons(call: Call) -> PersonMergeOut:
    """Make one person of two rows."""
    body: NewMerge = call.body
    kept = _person(call)
    try:
        merged = find_person(call.session, call.key.organisation_id, body.person)
    except NotFound:
        raise wrong("person", "is not a person of yours", "unknown") from None
    made = service.merge(
        call.session, kept, merged, reason=body.reason, actor=call.actor, now=call.now
    )
    return _merge(call, made)


def list_merges(call: Call) -> PersonMergeList:
    """What became one, and what was parted again."""
    found = service.history(call.session, _person(call))
    return PersonMergeList(items=[_merge(call, each) for each in found])


def undo_merge(call: Call) -> PersonMergeOut:
    """Make two of one again."""
    body: NewParting = call.body
    merge_id = call.path["merge_id"]
    if not PUBLIC_ID.fullmatch(merge_id):
        raise NotFound("There is no such merger.")
    made = service.find(call.session, call.key.organisation_id, merge_id)
    undone = service.undo(
        call.session,
        made,
        reason=body.reason,
        actor=call.actor,
        now=call.now,
        accept_shortfall=body.accept_shortfall,
    )
    return _merge(call, undone.merge)


def export_person(call: Call) -> PersonExport:
    """Everything about a person."""
    person = _person(call)
    return PersonExport(
        person=person.public_id, exported_at=call.now, data=export(call.session, person)
    )


def erase_person(call: Call) -> PersonErasure:
    """Take a person out."""
    body: NewErasure = call.body
    query: DryRun = call.query
    person = _person(call)
    public_id = person.public_id
    made = erase(
        call.session,
        person,
        reason=body.reason,
        actor=call.actor,
        now=call.now,
        forfeit=body.forfeit,
    )
    return PersonErasure(
        id=None if query.dry_run else made.public_id,
        person=public_id,
        reason=made.reason,
        actor=made.actor,
        erased_at=made.at,
        forfeited=_points(made.forfeited),
        remaining=_points(made.remaining),
        dry_run=query.dry_run,
    )


def _person(call: Call) -> Person:
    return find_person(call.session, call.key.organisation_id, call.path["person_id"])


def _points(found: dict[str, Any]) -> list[CardPoints]:
    return [CardPoints(card=card, amount=amount) for card, amount in sorted(found.items())]


def _merge(call: Call, made: PersonMerge) -> PersonMergeOut:
    dry_run = bool(getattr(call.query, "dry_run", False))
    merges = _card_merges(call, made)
    wanted = {*made.details["cards"]} | {
        id_ for each in merges for id_ in (each.card_id, each.into_id)
    }
    cards = {card.id: card for card in call.session.exec(_all(wanted))}
    return PersonMergeOut(
        id=None if dry_run and made.undone_at is None else made.public_id,
        kept=present.person(call.session.get_one(Person, made.kept_id)),
        merged=present.person(call.session.get_one(Person, made.merged_id)),
        moved=[_ref(cards[id_]) for id_ in made.details["cards"]],
        joined=[
            MergedCard(
                card=_ref(cards[each.card_id]),
                into=_ref(cards[each.into_id]),
                brought=each.brought,
                given_back=each.given_back,
            )
            for each in merges
        ],
        reason=made.reason,
        actor=made.actor,
        merged_at=made.merged_at,
        undone_at=made.undone_at,
        undone_by=made.undone_by,
        undone_reason=made.undone_reason,
        exact=None if made.undone_at is None else all(each.exact for each in merges),
        dry_run=dry_run,
    )


def _card_merges(call: Call, made: PersonMerge) -> Sequence[CardMerge]:
    wanted = select(CardMerge).where(col(CardMerge.id).in_(made.details["merges"]))
    return call.session.exec(wanted.order_by(col(CardMerge.id))).all()


def _all(ids: set[int]) -> Any:
    return select(Card).where(col(Card.id).in_(ids))


def _ref(card: Card) -> CardRef:
    return CardRef(id=card.public_id, number=card.number)


_MERGE_ID: Final = "0f2h4k6n8q0s2v4x6z8b"
_ACTOR: Final = "api-key:4m6p8r0t2w4y6a8c0e2g"
_MERGE: Final[dict[str, Any]] = {
    "id": _MERGE_ID,
    "kept": PERSON_EXAMPLE,
    "merged": PERSON_EXAMPLE | {"id": "9b1d3f5h7k9n1q3s5v7x", "first_name": "Аня"},
    "moved": [],
    "joined": [
        {
            "card": {"id": "5c7e9g1j3m5p7r9t1w3y", "number": "9050060070080098"},
            "into": {"id": "3h7k9m2p5r8t0v4x6z1b", "number": "9047182036514928"},
            "brought": 40,
            "given_back": None,
        }
    ],
    "reason": "Дважды записана",
    "actor": _ACTOR,
    "merged_at": "2026-11-20T10:15:42Z",
    "undone_at": None,
    "undone_by": None,
    "undone_reason": "",
    "exact": None,
    "dry_run": False,
}
_UNDONE: Final[dict[str, Any]] = _MERGE | {
    "joined": [_MERGE["joined"][0] | {"given_back": 40}],
    "undone_at": "2026-11-21T08:00:00Z",
    "undone_by": _ACTOR,
    "undone_reason": "Мать и дочь",
    "exact": True,
}
_PATH: Final = {"person_id": "The person's id, as a card names its holder."}
_TAG: Final = "Persons"

OPERATIONS: Final = (
    Operation(
        id="mergePersons",
        method="POST",
        path="/persons/{person_id}/merges",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="Make one person of two",
        description="The person in the address stays; the other row is closed. Phones and what "
        "was not known go over, of agreements the last word counts. A card of a programme where "
        "only the other has one changes hands; where both have one, the other's becomes part of "
        "the person's: points keep their dates, what was bought counts together, the better tier "
        "stays, and the old number, page and pass of plastic mean the card that stays. Refused "
        "while a card owes points, has points reserved, or, being the one to end, is in a group.",
        handler=merge_persons,
        status=201,
        body=NewMerge,
        body_example={"person": "9b1d3f5h7k9n1q3s5v7x", "reason": "Дважды записана"},
        query=DryRun,
        answer=PersonMergeOut,
        answer_example=_MERGE,
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict),
        path_parameters=_PATH,
    ),
    Operation(
        id="listPersonMerges",
        method="GET",
        path="/persons/{person_id}/merges",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="List a person's mergers",
        description="Those that stand and those that were undone, the newest first.",
        handler=list_merges,
        answer=PersonMergeList,
        answer_example={"items": [_MERGE]},
        path_parameters=_PATH,
    ),
    Operation(
        id="undoPersonMerge",
        method="POST",
        path="/person-merges/{merge_id}/undo",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="Undo a merger of persons",
        description="Both are as before, and so is every point, while nothing happened to the "
        "points that came. Otherwise a card gets back as many as it brought, less what has ended; "
        "refused with what is `missing` when so many are not left, unless you accept the "
        "shortfall. Later mergers of the person are undone first (`undo_first`).",
        handler=undo_merge,
        body=NewParting,
        body_example={"reason": "Мать и дочь"},
        query=DryRun,
        answer=PersonMergeOut,
        answer_example=_UNDONE,
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict),
        path_parameters={"merge_id": "The id of the merger."},
    ),
    Operation(
        id="exportPerson",
        method="GET",
        path="/persons/{person_id}/export",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="Export everything about a person",
        description="For a person who asks what you have of them: the rows of every table that "
        "knows something of them, those merged into theirs included.",
        handler=export_person,
        answer=PersonExport,
        answer_example={
            "person": PERSON_EXAMPLE["id"],
            "exported_at": "2026-11-20T10:15:42Z",
            "data": {"phones": [{"e164": "+79001234567", "created_at": "2026-11-01T09:00:00Z"}]},
        },
        path_parameters=_PATH,
    ),
    Operation(
        id="erasePerson",
        method="POST",
        path="/persons/{person_id}/erasure",
        tag=_TAG,
        scope=Scope.MEMBERS_MANAGE,
        summary="Erase a person",
        description="Name, phones, e-mail, birthday and all texts with them are gone for good; "
        "cards are closed, passes voided. The ledger keeps its entries under numbers that name "
        "nobody, agreements stay as proof with a hash of the phone. Who shares points leaves them "
        "to the group. Refused while points are left, unless you `forfeit` them. Try with "
        "`dry_run` first: it cannot be undone.",
        handler=erase_person,
        body=NewErasure,
        body_example={"reason": "Заявление от 20.11", "forfeit": True},
        query=DryRun,
        answer=PersonErasure,
        answer_example={
            "id": "7d9f1h3k5n7q9s1v3x5z",
            "person": PERSON_EXAMPLE["id"],
            "reason": "Заявление от 20.11",
            "actor": _ACTOR,
            "erased_at": "2026-11-20T10:15:42Z",
            "forfeited": [{"card": "3h7k9m2p5r8t0v4x6z1b", "amount": 140}],
            "remaining": [],
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict),
        path_parameters=_PATH,
    ),
)
