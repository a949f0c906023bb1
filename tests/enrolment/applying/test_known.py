"""A form with a phone that is known: whose card is it?"""

from __future__ import annotations

from datetime import date

import pytest
from sqlmodel import col, select

from tests.concurrency.at_once import together
from tests.enrolment.applying.people import known
from tests.enrolment.conftest import Counter
from tests.factories import TILL
from walletsvc.cards.groups.models import GroupMember, JoinProof
from walletsvc.cards.models import Card
from walletsvc.core.errors import InputError
from walletsvc.enrolment import applying
from walletsvc.enrolment.models import Application
from walletsvc.enrolment.service import enrol
from walletsvc.messaging.proving.service import Outcome
from walletsvc.people.consents.models import Consent
from walletsvc.people.models import Person, PersonPhone


def test_a_known_phone_answers_like_a_new_one(counter: Counter) -> None:
    """Before the proof nothing differs but what was drawn."""
    known(counter, "Пётр")
    told = counter.apply("nonce-of-a-known-phone")
    new = counter.apply("nonce-of-a-new-phone", phone="+7 900 000 55 55")
    assert told.proof is not None
    assert new.proof is not None
    for name in ("route", "expires_at", "resend_at", "call_to", "token"):
        assert getattr(told.proof, name) == getattr(new.proof, name)
    assert len({len(words) for _, words in counter.messages()}) == 1
    with counter.database.read_tx() as session:
        seen = [applying.look(session, each.application, now=counter.now) for each in (told, new)]
    assert [each.people for each in seen] == [None, None]


def test_the_owner_of_a_known_phone_gets_the_card_back(counter: Counter) -> None:
    """By the choice of the person; birthday and consents are added, the name stays."""
    card = known(counter, "Аня", "")
    told = counter.join(birthday=date(1991, 4, 23))
    assert told.card is None
    assert told.people is not None
    (person,) = told.people
    assert (person.name, person.has_card, person.can_share) == ("Аня", True, True)
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
    done = together(4, lambda _: counter.choose(application, person.id))
    assert {each.card.id for each in done if each.card} == {card.id}
    with counter.database.read_tx() as session:
        owner = session.get_one(Person, card.person_id)
        assert (owner.first_name, owner.birthday) == ("Аня", date(1991, 4, 23))
        assert session.get_one(Card, card.id).verified_at == counter.now
    assert (counter.count(Card), counter.count(Consent)) == (1, 2)


def test_who_is_known_by_name_and_phone_needs_no_choice(counter: Counter) -> None:
    card = known(counter, "анна", "КУЗНЕЦОВА")
    done = counter.join()
    assert done.card is not None
    assert done.card.id == card.id


def test_another_person_of_the_family_gets_a_card(counter: Counter) -> None:
    known(counter, "Пётр", "Длинный")
    told = counter.join()
    assert told.people is not None
    assert [each.name for each in told.people] == ["Пётр Д."]
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
    done = together(4, lambda _: counter.choose(application, None))
    assert len({each.card.id for each in done if each.card}) == 1
    assert (counter.count(Card), counter.count(Person)) == (2, 2)


def test_a_card_for_somebody_known_who_has_none(counter: Counter) -> None:
    known(counter, "Пётр")
    with counter.database.write_tx() as session:
        other = Person(
            organisation_id=counter.shop.organisation.id, first_name="Аня", created_at=counter.now
        )
        session.add(other)
        session.flush()
        phone = session.exec(select(PersonPhone)).one().phone_id
        session.add(PersonPhone(person_id=other.id, phone_id=phone, created_at=counter.now))
    told = counter.join()
    assert told.people is not None
    assert [each.has_card for each in told.people] == [True, False]
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
    done = counter.choose(application, told.people[1].id)
    assert done.card is not None
    assert done.card.person_id == other.id


def test_the_family_shares_the_balance(counter: Counter) -> None:
    """On the proof of the common phone, and the group says so."""
    host = known(counter, "Пётр")
    told = counter.join()
    assert told.people is not None
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
    with pytest.raises(InputError):
        counter.choose(application, None, share_with="0" * 20)
    done = counter.choose(application, None, share_with=told.people[0].id)
    assert done.card is not None
    assert done.card.account_id == host.account_id
    with counter.database.read_tx() as session:
        members = session.exec(select(GroupMember).order_by(col(GroupMember.id))).all()
        assert [each.proof for each in members] == [JoinProof.FOUNDER, JoinProof.PHONE]


def test_nobody_of_another_phone_can_be_chosen(counter: Counter) -> None:
    known(counter, "Пётр")
    with counter.database.write_tx() as session:
        stranger = enrol(
            session, programme=counter.shop.programme, phone="+79000009999", first_name="Чужой",
            actor=TILL, now=counter.now,
        ).person  # fmt: skip
    counter.join()
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
    with pytest.raises(InputError) as caught:
        counter.choose(application, stranger.public_id)
    assert caught.value.fields[0].field == "person"


def test_a_phone_that_is_proven_needs_no_code_to_go_on(counter: Counter) -> None:
    """The number of the plastic card was wrong: without it, by the form sent again."""
    refused = counter.join(plastic_number="5002")
    assert refused.plastic_refused
    applied = counter.apply()
    done = counter.confirm(applied.application, "")
    assert done.card is not None
    assert counter.confirm(applied.application, "").outcome is Outcome.WRONG
    assert len(counter.codes()) == 1


def test_two_forms_that_choose_the_same_person_get_one_card(counter: Counter) -> None:
    """Somebody known without a card, chosen from two phones in the family's hands at once."""
    known(counter, "Пётр")
    with counter.database.write_tx() as session:
        other = Person(
            organisation_id=counter.shop.organisation.id, first_name="Аня", created_at=counter.now
        )
        session.add(other)
        session.flush()
        phone = session.exec(select(PersonPhone)).one().phone_id
        session.add(PersonPhone(person_id=other.id, phone_id=phone, created_at=counter.now))
    applied = [counter.apply(f"nonce-of-a-tab-{number}") for number in range(4)]
    for number, code in enumerate(counter.codes()):
        assert counter.confirm(applied[number].application, code).people is not None
    done = together(4, lambda number: counter.choose(applied[number].application, other.public_id))
    assert len({each.card.id for each in done if each.card}) == 1
    assert counter.count(Card) == 2
