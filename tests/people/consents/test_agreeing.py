"""Agreeing, withdrawing, and what is kept of both."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.concurrency.at_once import outcome, together
from tests.factories import make_shop
from tests.people.consents.office import DAY, EMAIL, PHONE, SMS, WALLET, Office, proof_of
from walletsvc.core.errors import Conflict, InputError
from walletsvc.people.consents import service
from walletsvc.people.consents.models import ConsentChannel, Purpose, Way


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
