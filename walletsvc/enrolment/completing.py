"""The end of an application: whose card it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlmodel import Session

from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.cards.plastic import service as plastic
from walletsvc.cards.plastic.service import Claimed
from walletsvc.core.actor import Actor
from walletsvc.core.errors import Refused, wrong
from walletsvc.enrolment import forms, gifts, notices, settings
from walletsvc.enrolment.doors import Door
from walletsvc.enrolment.forms import Agreed, ApplicationForm
from walletsvc.enrolment.models import Application, ApplicationState, JoinSource
from walletsvc.enrolment.service import admit, agree
from walletsvc.enrolment.verification import give_welcome, proven
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.models import Person
from walletsvc.people.phones import holders, people_of
from walletsvc.people.rules import masked_name, name_key
from walletsvc.people.service import fill_in, find_or_create_person
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.storage.rows import Changed, Read, get

_DONE: Final = Changed(Application, "card_id", "state", "completed_at", "form", "phone")
_PROOF: Final = Read(PhoneProof, "WHERE public_id = :proof")
_CARD: Final = Read(Card, "WHERE person_id = :person AND programme_id = :programme")
# As many people as may come by the form with one phone; a bigger family asks at the till.
MOST_PEOPLE: Final = 6
_SHARED = (ProgrammeKind.POINTS, ProgrammeKind.STAMPS)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody who answers the proven phone: as much as tells the family apart.

    `has_card`: there is a card of this programme, which would come back. `can_share`: another
    card may share its balance.
    """

    id: str
    name: str
    has_card: bool
    can_share: bool


def known_people(session: Session, row: Application) -> Sequence[KnownPerson]:
    """Who else answers the phone, for whoever proved it; nobody when the form says which of them
    it is. Callers ask only when the phone is proven."""
    programme = get(session, Programme, row.programme_id)
    people = people_of(session, programme.organisation_id, row.phone)
    form = forms.unpacked(row.form, row.phone)
    mine = name_key(form.first_name, form.last_name)
    if any(name_key(each.first_name, each.last_name) == mine for each in people):
        return []
    found = []
    for person in people:
        card = _card_of(session, person, programme)
        is_open = card is not None and card.closed_at is None
        found.append(
            KnownPerson(
                id=person.public_id,
                name=masked_name(person.first_name, person.last_name),
                has_card=is_open,
                can_share=is_open and programme.kind in _SHARED,
            )
        )
    return found


def complete(
    session: Session,
    row: Application,
    *,
    person: str | None = None,
    share_with: str | None = None,
    actor: Actor,
    base_url: str = "",
    now: datetime,
) -> Card:
    """Bring an application whose phone is proven, and whose row is locked, to its card.

    `person` is one of the people of the phone; None: whoever the form names. What was typed is
    forgotten here. Raises InputError naming `person` or `share_with`, Conflict, Refused.
    """
    programme = get(session, Programme, row.programme_id)
    # Whoever else registers with this phone waits here, and then finds what was done.
    family = holders(session, programme.organisation_id, row.phone, now)
    form = forms.unpacked(row.form, row.phone)
    door = _door(session, row, programme, actor, base_url)
    consents = forms.agreed(session, programme, form, now)
    who = _applicant(session, row, programme, form, person, family, now)
    card = _card_of(session, who, programme)
    if card is None:
        gift = share_with is None and not gifts.welcomed(session, programme, row.phone)
        card = admit(session, who, programme, consents, replace(door, gift=gift), now).card
        if share_with is not None:
            groups.share(
                session, card, _host(session, programme, share_with, family), actor=actor, now=now
            )
    else:
        card = _welcome_back(session, card, who, consents, door, now)
    return _finish(session, row, card, now)


def take_plastic(
    session: Session,
    row: Application,
    number: str,
    *,
    actor: Actor,
    base_url: str = "",
    now: datetime,
) -> tuple[Card, Claimed]:
    """Bring such an application to the card that its plastic number stands for, with all that is
    on it, and what became of the claim. Raises InputError naming `plastic_number`, in the same
    words whatever the reason."""
    programme = get(session, Programme, row.programme_id)
    door = _door(session, row, programme, actor, base_url)
    if door.proof is None or row.proven_at is None:
        raise ValueError("the phone of the application is not proven")
    form = forms.unpacked(row.form, row.phone)
    consents = forms.agreed(session, programme, form, now)
    claimed = plastic.claim(
        session,
        programme=programme,
        number=number,
        proof=door.proof,
        first_name=form.first_name,
        last_name=form.last_name,
        now=now,
    )
    fill_in(claimed.person, birthday=form.birthday, email=form.email)
    card = _welcome_back(session, claimed.card, claimed.person, consents, door, now)
    if claimed.outcome is not Claimed.AGAIN:
        notices.tell(session, card, claimed.person, programme, door, now)
    return _finish(session, row, card, now), claimed.outcome


def _finish(session: Session, row: Application, card: Card, now: datetime) -> Card:
    _DONE.one(
        session, row, card_id=card.id, state=ApplicationState.DONE, completed_at=now, form="",
        phone="",
    )  # fmt: skip
    return card


def _applicant(
    session: Session,
    row: Application,
    programme: Programme,
    form: ApplicationForm,
    person: str | None,
    family: Sequence[Person],
    now: datetime,
) -> Person:
    if person is None:
        mine = name_key(form.first_name, form.last_name)
        known_names = {name_key(each.first_name, each.last_name) for each in family}
        if mine not in known_names and len(family) >= MOST_PEOPLE:
            raise Refused(
                "This phone has as many people as may join by themselves: please ask at the till."
            )
        return find_or_create_person(
            session,
            organisation_id=programme.organisation_id,
            phone=row.phone,
            first_name=form.first_name,
            last_name=form.last_name,
            birthday=form.birthday,
            email=form.email,
            language=row.language,
            now=now,
        )
    known = _one_of(family, person, "person")
    fill_in(known, birthday=form.birthday, email=form.email)
    return known


def _one_of(family: Sequence[Person], public_id: str, field: str) -> Person:
    found = next((each for each in family if each.public_id == public_id), None)
    if found is None:
        raise wrong(field, "is nobody of this phone", "unknown")
    return found


def _host(
    session: Session, programme: Programme, share_with: str, family: Sequence[Person]
) -> Card:
    host = _card_of(session, _one_of(family, share_with, "share_with"), programme)
    if host is None:
        raise wrong("share_with", "has no card whose balance could be shared", "not_allowed")
    return host


def _welcome_back(
    session: Session,
    card: Card,
    person: Person,
    consents: Sequence[Agreed],
    door: Door,
    now: datetime,
) -> Card:
    """The card that was there all along."""
    card = session.get_one(
        Card, card.id, with_for_update={"key_share": True}, populate_existing=True
    )
    if card.closed_at is not None:
        raise Refused("The card is closed; the shop can say why.")
    if door.proof is not None:
        proven(session, card, person, door.proof, now)
    agree(session, person, consents, door, now)
    give_welcome(session, card, door.language, door.actor, now)
    return card


def _door(
    session: Session, row: Application, programme: Programme, actor: Actor, base_url: str
) -> Door:
    source = None if row.source_id is None else session.get_one(JoinSource, row.source_id)
    wanted = settings.of(session, programme).card_link
    return Door(
        way=row.way,
        actor=actor,
        language=row.language,
        branch_id=source.branch_id if source else None,
        source_id=row.source_id,
        phone=row.phone,
        proof=_PROOF.one(session, proof=row.proof),
        base_url=base_url if wanted else "",
    )


def _card_of(session: Session, person: Person, programme: Programme) -> Card | None:
    return _CARD.first(session, person=person.id, programme=programme.id)
