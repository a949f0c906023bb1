"""A number on plastic: whose card it is, and who may make it theirs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pytest
from sqlmodel import Session, delete, select

from tests.concurrency.interleave import checkpoints, interleave
from tests.factories import Shop, make_member, make_shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards.models import Card
from walletsvc.cards.plastic import service
from walletsvc.cards.plastic.models import PlasticNumber
from walletsvc.cards.plastic.service import Claim, Claimed
from walletsvc.cards.service import issue_card
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import Conflict, InputError
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger
from walletsvc.ledger.verify import differences
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.phones import phones_of, verify
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.engine import Database

PHONE, OTHER = "+79001234567", "+79007654321"


@dataclass
class Desk:
    """A shop that had plastic cards; each verb opens a transaction of its own."""

    database: Database
    shop: Shop
    now: datetime

    def plastic(
        self,
        number: str,
        points: int = 0,
        *,
        phone: str | None = None,
        name: str = "Анна",
        last_name: str = "",
    ) -> Card:
        """A card that was kept elsewhere."""
        with self.database.write_tx() as session:
            person = find_or_create_person(
                session,
                organisation_id=self.shop.organisation.id,
                phone=phone,
                first_name=name,
                last_name=last_name,
                now=self.now,
            )
            card = issue_card(session, person=person, programme=self.shop.programme, now=self.now)
            if points:
                ledger.credit(
                    session, card.account_id, points, source="import", actor=SYSTEM, reason="",
                    now=self.now, card_id=card.id,
                )  # fmt: skip
            service.add(session, card, number, self.now)
            return card

    def claim(
        self, number: str, phone: str = PHONE, name: str = "Анна", last_name: str = ""
    ) -> Claim:
        """Somebody who proved a phone asks for the card behind a number."""
        with self.database.write_tx() as session:
            return service.claim(
                session,
                programme=self.shop.programme,
                number=number,
                proof=self._proof(session, phone),
                first_name=name,
                last_name=last_name,
                now=self.now,
            )

    def _proof(self, session: Session, phone: str) -> PhoneProof:
        proof = PhoneProof(
            organisation_id=self.shop.organisation.id,
            purpose=ProofPurpose.CLAIM,
            route=Route.SMS,
            phone=phone,
            created_at=self.now,
            expires_at=self.now,
            proven_at=self.now,
        )
        session.add(proof)
        session.flush()
        return proof

    def balance(self, card: Card) -> int:
        """What is on a card; the whole ledger agrees with itself."""
        with self.database.read_tx() as session:
            assert list(differences(session, LEDGER_CHECKS)) == []
            known = session.get_one(Card, card.id)
            return queries.balance(session, known.account_id)


@pytest.fixture
def desk(database: Database, now: datetime) -> Desk:
    with database.write_tx() as session:
        return Desk(database, make_shop(session, now), now)


def test_a_number_is_one_however_it_is_written(desk: Desk) -> None:
    card = desk.plastic("ab-12 34")
    with desk.database.read_tx() as session:
        organisation_id = desk.shop.organisation.id
        for written in ("AB1234", "ab 1234", "Ab–12–34"):
            found = service.find(session, organisation_id, written)
            assert found is not None
            assert found.id == card.id
        for written in ("AB12345", "", "ab", "ab1234!"):
            assert service.find(session, organisation_id, written) is None
        assert service.find(session, organisation_id + 1, "AB1234") is None


def test_a_number_is_of_one_card_only(desk: Desk) -> None:
    """The same again changes nothing; a number of ours is the card's that has it."""
    first, second = desk.plastic("100001"), desk.plastic("100002")
    with desk.database.write_tx() as session:
        service.add(session, session.get_one(Card, first.id), "100-001", desk.now)
        service.add(session, session.get_one(Card, first.id), "100003", desk.now)
        for taken in ("100001", first.number):
            with pytest.raises(Conflict):
                service.add(session, session.get_one(Card, second.id), taken, desk.now)
        numbers = [row.number for row in service.numbers_of(session, first)]
    assert numbers == ["100001", "100003"]


def test_who_proves_a_phone_that_nobody_had_takes_the_card(desk: Desk) -> None:
    """Balance and history are on it as before, and it is nobody else's any more."""
    card = desk.plastic("100001", 250)
    made = desk.claim("100 001")
    assert (made.card.id, made.outcome, desk.balance(card)) == (card.id, Claimed.OWN, 250)
    with desk.database.read_tx() as session:
        assert phones_of(session, made.person.id) == [PHONE]
        assert session.exec(select(PersonPhone.verified_at)).one() == desk.now
    assert desk.claim("100001").outcome is Claimed.AGAIN
    with pytest.raises(InputError):
        desk.claim("100001", OTHER)


def test_a_former_phone_claims_nothing_again(desk: Desk) -> None:
    """Whoever has the number by now is not who claimed with it: the same words as for all else."""
    desk.plastic("100001", 250)
    made = desk.claim("100001")
    with desk.database.write_tx() as session:
        session.execute(delete(PersonPhone))
        person = session.get_one(Person, made.person.id)
        verify(session, person, OTHER, desk.now)
    said = set()
    # The new phone is not what it was claimed with; nothing is taken from who has the card.
    for number, phone in (("100001", PHONE), ("100001", OTHER), ("100009", PHONE)):
        with pytest.raises(InputError) as refused:
            desk.claim(number, phone, "Вор")
        said.add((refused.value.detail, refused.value.fields))
    assert len(said) == 1
    with desk.database.read_tx() as session:
        assert phones_of(session, made.person.id) == [OTHER]


def test_where_the_phone_is_known_it_has_to_be_that_one(desk: Desk) -> None:
    """Unknown, taken and of another phone are told in the same words."""
    card = desk.plastic("100001", 250, phone=PHONE)
    said = set()
    for number, phone in (("100001", OTHER), ("100009", PHONE), ("?", PHONE)):
        with pytest.raises(InputError) as refused:
            desk.claim(number, phone)
        said.add((refused.value.detail, refused.value.fields))
    desk.claim("100001", PHONE)
    with pytest.raises(InputError) as refused:
        desk.claim("100001", OTHER)
    said.add((refused.value.detail, refused.value.fields))
    assert len(said) == 1
    with desk.database.read_tx() as session:
        row = session.exec(select(PlasticNumber)).one()
        assert (row.card_id, row.claimed_phone) == (card.id, PHONE)


@pytest.mark.parametrize(
    ("known", "claimant", "theirs"),
    [
        (("", ""), ("Вор", "Чужой"), True),
        (("Анна", "Орлова"), ("Анна", "Чужая"), False),
        (("Анна", "Орлова"), ("аня", " ОРЛОВА"), True),
        (("Орлова", "Анна"), ("Анна", "Орлова"), True),
        (("Анна", "Орлова"), ("Анна", ""), True),
        (("Анна", "Орлова"), ("Вор", ""), False),
        (("Семёнова", ""), ("Анна", "Семенова"), True),
        (("Анна", ""), ("Вор", "Чужой"), False),
    ],
)
def test_where_no_phone_is_known_the_name_has_to_be_that_one(
    desk: Desk, known: tuple[str, str], claimant: tuple[str, str], theirs: bool
) -> None:
    """The number alone is no proof: they go up one by one. Told in the same words."""
    card = desk.plastic("100001", 250, name=known[0] or "?", last_name=known[1])
    with desk.database.write_tx() as session:
        session.get_one(Person, card.person_id).first_name = known[0]
    if theirs:
        made = desk.claim("100001", PHONE, *claimant)
        assert (made.card.id, made.outcome) == (card.id, Claimed.OWN)
        return
    with pytest.raises(InputError) as unknown:
        desk.claim("100009")
    with pytest.raises(InputError) as refused:
        desk.claim("100001", PHONE, *claimant)
    assert (refused.value.detail, refused.value.fields) == (
        unknown.value.detail,
        unknown.value.fields,
    )
    with desk.database.read_tx() as session:
        assert session.exec(select(PlasticNumber.claimed_at)).one() is None
        assert phones_of(session, card.person_id) == []


def test_who_has_a_card_already_gets_it_all_onto_that_one(desk: Desk) -> None:
    """The plastic's nameless owner was the same person; the number scans as the card they keep."""
    old = desk.plastic("100001", 250)
    with desk.database.write_tx() as session:
        own, _ = make_member(session, desk.shop, desk.now, phone=PHONE)
    made = desk.claim("100001")
    assert (made.card.id, made.outcome) == (own.id, Claimed.JOINED)
    assert desk.balance(own) == 250
    with desk.database.read_tx() as session:
        former = session.get_one(Card, old.id)
        assert former.closed_at == desk.now
        assert session.get_one(Person, former.person_id).merged_into_id == made.person.id
        found = service.find(session, desk.shop.organisation.id, "100001")
        assert found is not None
        assert found.id == own.id
    again = desk.claim("100001")
    assert (again.card.id, again.outcome) == (own.id, Claimed.AGAIN)


def test_who_is_known_without_a_card_is_not_made_two(desk: Desk) -> None:
    """The card becomes theirs, and whoever had it on paper was the same person."""
    with desk.database.write_tx() as session:
        known = find_or_create_person(
            session, organisation_id=desk.shop.organisation.id, phone=PHONE, first_name="Анна",
            now=desk.now,
        )  # fmt: skip
    old = desk.plastic("100001", 250)
    made = desk.claim("100001")
    assert (made.card.id, made.person.id, made.outcome) == (old.id, known.id, Claimed.OWN)
    assert desk.balance(old) == 250
    with desk.database.read_tx() as session:
        assert session.get_one(Card, old.id).person_id == known.id
        nameless = session.get_one(Person, old.person_id)
        assert (nameless.merged_into_id, nameless.closed_at) == (known.id, desk.now)
        assert phones_of(session, nameless.id) == []
        assert phones_of(session, known.id) == [PHONE]
    with desk.database.write_tx() as session:
        found = find_or_create_person(
            session, organisation_id=desk.shop.organisation.id, phone=PHONE, first_name="Анна",
            now=desk.now,
        )  # fmt: skip
        assert found.id == known.id
    assert desk.claim("100001").outcome is Claimed.AGAIN


def test_another_of_the_family_gets_a_card_of_their_own(desk: Desk) -> None:
    """The phone is the same, the name is not."""
    old = desk.plastic("100001", 250)
    with desk.database.write_tx() as session:
        make_member(session, desk.shop, desk.now, name="Пётр", phone=PHONE)
    made = desk.claim("100001", name="Анна")
    assert (made.card.id, made.outcome) == (old.id, Claimed.OWN)


def test_of_two_who_claim_at_once_one_gets_it(desk: Desk) -> None:
    """In whatever order their statements come: the other is told that it cannot be claimed."""
    for seed in range(20):
        number = f"{100_001 + seed}"
        card = desk.plastic(number, 250)
        ends: list[str] = []

        def attempt(phone: str, number: str = number, ends: list[str] = ends) -> None:
            try:
                ends.append(desk.claim(number, phone).outcome)
            except InputError as error:
                ends.append(error.fields[0].code)

        with checkpoints(desk.database.engine):
            interleave(
                random.Random(seed),
                [
                    partial(attempt, f"+7900111{seed:02}01"),
                    partial(attempt, f"+7900222{seed:02}02"),
                ],
            )
        assert sorted(ends) == ["not_claimable", Claimed.OWN]
        with desk.database.read_tx() as session:
            assert len(phones_of(session, card.person_id)) == 1
