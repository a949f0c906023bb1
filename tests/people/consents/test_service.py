"""What was agreed to is kept: the words, when, by which door, and when it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.concurrency.test_ledger import outcome, together
from tests.factories import TILL, Shop, make_shop
from walletsvc.core.errors import Conflict, InputError
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.people.consents import service
from walletsvc.people.consents.models import Consent, ConsentChannel, ConsentText, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.engine import Database

SMS, EMAIL, WALLET = ConsentChannel.SMS, ConsentChannel.EMAIL, ConsentChannel.WALLET
PHONE = "+79000001234"
DAY = timedelta(days=1)
WORDS = {"title": {"ru": "Согласие"}, "body": {"ru": "Я согласна."}}


@dataclass
class Office:
    """One person of one shop; each verb is a transaction of its own."""

    database: Database
    shop: Shop
    person: Person
    now: datetime

    def texts(self) -> dict[Purpose, ConsentText]:
        with self.database.write_tx() as session:
            return service.current_texts(session, self.shop.organisation.id, self.now)

    def publish(self, **changes: Any) -> ConsentText:
        given: dict[str, Any] = {"purpose": Purpose.DATA, "actor": TILL, "now": self.now, **WORDS}
        with self.database.write_tx() as session:
            return service.publish_text(
                session, organisation_id=self.shop.organisation.id, **given | changes
            )

    def give(
        self, words: ConsentText, channels: Sequence[ConsentChannel] = (), **changes: Any
    ) -> list[Consent]:
        given: dict[str, Any] = {
            "way": Way.FORM,
            "language": "ru",
            "phone": PHONE,
            "proof_id": None,
            "actor": TILL,
            "now": self.now,
        }
        with self.database.write_tx() as session:
            return service.give(
                session, self._person(session), text=words, channels=channels, **given | changes
            )

    def withdraw(self, purpose: Purpose, **changes: Any) -> list[Consent]:
        given: dict[str, Any] = {"way": Way.PAGE, "actor": TILL, "now": self.now}
        with self.database.write_tx() as session:
            return service.withdraw(
                session, self._person(session), purpose=purpose, **given | changes
            )

    def standing(self) -> list[tuple[str, str | None, int]]:
        with self.database.read_tx() as session:
            return [_told(each) for each in service.standing(session, self.person.id)]

    def history(self) -> list[Consent]:
        with self.database.read_tx() as session:
            return service.history(session, self.person.id)

    def may(self, channel: ConsentChannel) -> bool:
        with self.database.read_tx() as session:
            return service.may_advertise(session, self.person.id, channel)

    def _person(self, session: Session) -> Person:
        return session.get_one(Person, self.person.id)


def _told(consent: Consent) -> tuple[str, str | None, int]:
    return (consent.purpose.value, consent.channel, consent.text_id)


@pytest.fixture
def office(database: Database, now: datetime) -> Office:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        person = find_or_create_person(
            session,
            organisation_id=shop.organisation.id,
            phone=PHONE,
            first_name="Анна",
            now=now,
        )
    return Office(database, shop, person, now)


def test_a_shop_has_texts_from_the_start(office: Office) -> None:
    """Both purposes, two languages, the shop as the operator; asked again, the same ones."""
    found = office.texts()
    assert list(found) == list(Purpose)
    for purpose, words in found.items():
        assert (words.purpose, words.version, words.actor) == (purpose, 1, "system:walletsvc")
        assert set(words.title) == set(words.body) == {"ru", "en"}
        for body in words.body.values():
            assert "Лавка shop" in body
            assert "{" not in body
    assert list(office.texts().items()) == list(found.items())


def test_the_first_who_ask_at_once(office: Office) -> None:
    """One version of each, whoever is first."""
    found = together(8, lambda _: sorted(each.id for each in office.texts().values()))
    assert all(each == found[0] for each in found)
    with office.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM consent_texts")).scalar_one() == 2


def test_the_texts_say_what_the_law_asks_for(office: Office) -> None:
    """Who, what for, which data, what is done, how long, how to withdraw; two documents."""
    data, advertising = office.texts().values()
    for part in ("оператор", "Зачем", "Какие данные", "Что с ними делают", "Сколько", "отозвать"):
        assert part in data.body["ru"]
    for part in ("What for", "Which data", "What is done", "How long", "withdraw"):
        assert part in data.body["en"]
    for part in ("SMS", "электронная почта", "Кошелёк", "мессенджер", "звонок", "СТОП"):
        assert part in advertising.body["ru"]
    for part in ("SMS", "e-mail", "wallet", "messenger", "phone call", "STOP"):
        assert part in advertising.body["en"]


def test_a_new_version_takes_the_place_of_the_former(office: Office) -> None:
    """Which is kept as it was; the same words again are no version."""
    first = office.texts()[Purpose.DATA]
    second = office.publish()
    assert (second.version, second.retired_at) == (2, None)
    assert office.publish(now=office.now + timedelta(days=1)).id == second.id
    assert office.texts()[Purpose.DATA].id == second.id
    with office.database.read_tx() as session:
        kept = service.find_text(session, office.shop.organisation.id, first.public_id)
        assert kept is not None
        assert (kept.body, kept.digest) == (first.body, first.digest)
        assert kept.retired_at == office.now
        assert [each.version for each in service.all_texts(session, first.organisation_id)] == [
            2, 1, 1,
        ]  # fmt: skip
    assert first.digest != second.digest


def test_versions_published_at_once(office: Office) -> None:
    """Each has a number of its own, the last one counts."""
    together(6, lambda n: office.publish(body={"ru": f"Редакция {n}"}))
    with office.database.read_tx() as session:
        found = service.all_texts(session, office.shop.organisation.id)
    assert sorted(each.version for each in found) == [1, 2, 3, 4, 5, 6]
    assert [each.version for each in found if each.retired_at is None] == [6]


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"title": {}, "body": {}}, "body", "required"),
        ({"title": {"ru": "x"}, "body": {"en": "x"}}, "title", "required"),
        ({"title": {"ru": "x"}, "body": {"ru": " \n "}}, "body.ru", "required"),
        ({"title": {"ru": " "}, "body": {"ru": "x"}}, "title.ru", "required"),
        ({"title": {"ru": "x" * 161}, "body": {"ru": "x"}}, "title.ru", "too_long"),
        ({"title": {"ru": "x"}, "body": {"ru": "x" * 20_001}}, "body.ru", "too_long"),
        ({"title": {"ru": "x"}, "body": {"ru": "\x00"}}, "body.ru", "invalid_characters"),
        ({"title": {"kk": "x"}, "body": {"kk": "x"}}, "title.kk", "not_allowed"),
    ],
)
def test_wrong_words_are_named(
    office: Office, changes: dict[str, Any], field: str, code: str
) -> None:
    with pytest.raises(InputError) as caught:
        office.publish(**changes)
    assert (caught.value.fields[0].field, caught.value.fields[0].code) == (field, code)


def test_agreeing_and_what_is_kept_of_it(office: Office) -> None:
    """Data without a channel, advertising by each that was ticked."""
    data, advertising = office.texts().values()
    (given,) = office.give(data)
    assert (given.way, given.language, given.phone, given.actor, given.given_at) == (
        Way.FORM, "ru", PHONE, "till:test", office.now,
    )  # fmt: skip
    both = office.give(advertising, [SMS, EMAIL, SMS], way=Way.PAGE, language="en")
    assert [(each.channel, each.way, each.language) for each in both] == [
        (EMAIL, Way.PAGE, "en"),
        (SMS, Way.PAGE, "en"),
    ]
    assert (office.may(SMS), office.may(EMAIL), office.may(WALLET)) == (True, True, False)


def test_what_stands_stays(office: Office) -> None:
    """The same again changes nothing: the first time is the proof."""
    data = office.texts()[Purpose.DATA]
    (first,) = office.give(data)
    (again,) = office.give(data, now=office.now + timedelta(days=1), way=Way.TILL)
    assert (again.id, again.given_at, again.way) == (first.id, office.now, Way.FORM)
    assert len(office.history()) == 1


def test_agreeing_to_a_newer_version(office: Office) -> None:
    """The former agreement ends when the next begins; both stay on record."""
    office.give(office.texts()[Purpose.DATA])
    later = office.now + timedelta(days=3)
    second = office.publish()
    office.give(second, now=later)
    former, newer = office.history()
    assert (former.withdrawn_at, newer.given_at, newer.withdrawn_at) == (later, later, None)
    assert office.standing() == [("data", None, second.id)]


def test_a_text_that_was_replaced(office: Office) -> None:
    """A form that was open may still be sent, a day later the new text must be read."""
    first = office.texts()[Purpose.DATA]
    office.publish()
    with office.database.read_tx() as session:
        session.refresh(session.merge(first))
        retired = service.find_text(session, first.organisation_id, first.public_id)
    assert retired is not None
    with pytest.raises(Conflict):
        office.give(retired, now=office.now + timedelta(days=1, seconds=1))
    assert len(office.give(retired, now=office.now + timedelta(hours=5))) == 1


@pytest.mark.parametrize(
    ("purpose", "channels", "code"),
    [(Purpose.DATA, [SMS], "not_allowed"), (Purpose.ADVERTISING, [], "required")],
)
def test_channels_where_they_belong(
    office: Office, purpose: Purpose, channels: list[ConsentChannel], code: str
) -> None:
    with pytest.raises(InputError) as caught:
        office.give(office.texts()[purpose], channels)
    assert (caught.value.fields[0].field, caught.value.fields[0].code) == ("channels", code)


def test_a_text_of_another_organisation(office: Office) -> None:
    with office.database.write_tx() as session:
        other = make_shop(session, office.now, "other")
        foreign = service.current_texts(session, other.organisation.id, office.now)
    with pytest.raises(InputError):
        office.give(foreign[Purpose.DATA])
    assert office.history() == []


def test_withdrawing_one_channel(office: Office) -> None:
    """At once; what remains remains; the record says by which door."""
    office.give(office.texts()[Purpose.ADVERTISING], [SMS, EMAIL], way=Way.PAGE)
    (ended,) = office.withdraw(Purpose.ADVERTISING, channel=SMS, way=Way.SMS)
    assert (ended.channel, ended.withdrawn_at, ended.withdrawn_way, ended.withdrawn_actor) == (
        SMS, office.now, Way.SMS, "till:test",
    )  # fmt: skip
    assert (office.may(SMS), office.may(EMAIL)) == (False, True)
    assert office.withdraw(Purpose.ADVERTISING, channel=SMS) == []
    assert len(office.withdraw(Purpose.ADVERTISING)) == 1


def test_withdrawing_data_ends_advertising_too(office: Office) -> None:
    """Without the data there is nobody to advertise to."""
    data, advertising = office.texts().values()
    office.give(data)
    office.give(advertising, [SMS], way=Way.PAGE)
    assert len(office.withdraw(Purpose.DATA)) == 2
    assert office.standing() == []
    assert not office.may(SMS)


def test_agreeing_anew_after_withdrawal(office: Office) -> None:
    """Is another record."""
    words = office.texts()[Purpose.ADVERTISING]
    office.give(words, [SMS])
    office.withdraw(Purpose.ADVERTISING, channel=SMS)
    office.give(words, [SMS], way=Way.PAGE, now=office.now + timedelta(hours=1))
    assert [each.withdrawn_at is None for each in office.history()] == [False, True]
    assert office.may(SMS)


@pytest.mark.parametrize("column", ["closed_at", "erased_at"])
def test_nobody_advertises_to_who_is_gone(office: Office, column: str) -> None:
    office.give(office.texts()[Purpose.ADVERTISING], [SMS], way=Way.PAGE)
    with office.database.write_tx() as session:
        session.execute(text(f"UPDATE persons SET {column} = now()"))
    assert not office.may(SMS)


def test_agreeing_and_withdrawing_at_once(office: Office) -> None:
    """Never two of a kind; every record that ended says how."""
    words = office.texts()[Purpose.ADVERTISING]

    def work(number: int) -> str:
        if number % 2:
            return outcome(lambda: office.give(words, [SMS, WALLET]))
        return outcome(lambda: office.withdraw(Purpose.ADVERTISING, channel=SMS))

    assert Counter(together(16, work)) == {"done": 16}
    stands = Counter(channel for _, channel, _ in office.standing())
    assert stands[WALLET] == 1
    assert stands[SMS] <= 1


def test_two_versions_agreed_to_at_once(office: Office) -> None:
    """One of them stands."""
    first = office.texts()[Purpose.DATA]
    second = office.publish()
    together(8, lambda n: office.give((first, second)[n % 2]))
    assert len(office.standing()) == 1


def proof_of(office: Office) -> int:
    """A used proof of the person's phone."""
    with office.database.write_tx() as session:
        proof = PhoneProof(
            organisation_id=office.shop.organisation.id, purpose=ProofPurpose.TILL,
            route=Route.SMS, phone=PHONE, created_at=office.now, expires_at=office.now,
            proven_at=office.now, used_at=office.now,
        )  # fmt: skip
        session.add(proof)
        session.flush()
        return proof.id


def test_what_was_agreed_without_proof_is_proven_later(office: Office) -> None:
    """The agreement without a proof ends, and the one with it is kept from then on."""
    words = office.texts()[Purpose.DATA]
    proof = proof_of(office)
    (first,) = office.give(words)
    (second,) = office.give(words, way=Way.TILL, proof_id=proof, now=office.now + DAY)
    assert (second.proof_id, second.given_at) == (proof, office.now + DAY)
    assert [each.withdrawn_at for each in office.history()] == [office.now + DAY, None]
    for later in (None, proof_of(office)):
        (again,) = office.give(words, proof_id=later, now=office.now + 2 * DAY)
        assert again.id == second.id
    assert first.id != second.id
    assert len(office.history()) == 2


def test_a_proof_given_by_eight_at_once_is_kept_once(office: Office) -> None:
    words = office.texts()[Purpose.DATA]
    proof = proof_of(office)
    office.give(words)
    together(8, lambda _: office.give(words, proof_id=proof))
    assert [each.proof_id for each in office.history()] == [None, proof]


@pytest.mark.parametrize("way", [Way.TILL, Way.CRM, Way.STAFF, Way.IMPORT, Way.FORM, Way.BOT])
def test_somebodys_word_is_no_consent_to_advertising(office: Office, way: Way) -> None:
    """A proof is, and so is the person's own page; either takes the place of the word."""
    words = office.texts()[Purpose.ADVERTISING]
    office.give(words, [SMS, EMAIL], way=way)
    assert not office.may(SMS)
    office.give(words, [SMS], way=Way.PAGE)
    assert (office.may(SMS), office.may(EMAIL)) == (True, False)
    office.give(words, [SMS, EMAIL], way=way)
    assert office.may(SMS)
    office.give(words, [EMAIL], way=way, proof_id=proof_of(office))
    assert office.may(EMAIL)
