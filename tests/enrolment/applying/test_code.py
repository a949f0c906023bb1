"""The code of a form: wrong, late, asked for again, somebody else's."""

from __future__ import annotations

from itertools import count

import pytest
from sqlmodel import select

from tests.concurrency.at_once import outcome
from tests.enrolment.applying.people import known, wrong
from tests.enrolment.conftest import NONCE, PHONE, Counter
from walletsvc.core.errors import InputError, NotFound, PhoneNotProven
from walletsvc.enrolment import applying
from walletsvc.enrolment.models import Application
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Outcome
from walletsvc.people.consents.models import Consent


def test_the_same_code_again_gets_the_card_again_and_another_does_not(counter: Counter) -> None:
    applied = counter.apply()
    (code,) = counter.codes()
    first = counter.confirm(applied.application, code)
    again = counter.confirm(applied.application, f"{code[:3]} {code[3:]}")
    assert first.card is not None
    assert again.card is not None
    assert first.card.id == again.card.id
    for guess in (wrong(code), ""):
        refused = counter.confirm(applied.application, guess)
        assert (refused.outcome, refused.card) == (Outcome.WRONG, None)


def test_the_code_of_a_card_is_not_found_by_trying(counter: Counter) -> None:
    applied = counter.apply()
    (code,) = counter.codes()
    counter.confirm(applied.application, code)
    seen = [outcome(lambda: counter.confirm(applied.application, wrong(code))) for _ in range(12)]
    assert seen.count("too_many_tries") == 2


def test_a_wrong_code_tells_nothing_and_five_are_enough(counter: Counter) -> None:
    known(counter, "Пётр")
    applied = counter.apply()
    (code,) = counter.codes()
    tried = [counter.confirm(applied.application, wrong(code)) for _ in range(5)]
    assert {(each.outcome, each.people, each.card) for each in tried} == {
        (Outcome.WRONG, None, None)
    }
    assert counter.confirm(applied.application, code).outcome is Outcome.SPENT
    with pytest.raises(PhoneNotProven):
        counter.choose(applied.application, None)


def test_a_mended_phone_has_to_be_proven_anew(counter: Counter) -> None:
    """Back on the page, another phone, sent again: the code of the first proves nothing."""
    first = counter.apply(phone="+7 900 000 55 55")
    old = counter.codes()[0]
    second = counter.apply()
    assert first.application == second.application
    if counter.codes()[1] != old:
        assert counter.confirm(second.application, old).outcome is Outcome.WRONG
    done = counter.confirm(second.application, counter.codes()[1])
    assert done.outcome is Outcome.PROVEN
    with counter.database.read_tx() as session:
        assert session.exec(select(Consent)).all()[0].phone == PHONE


def test_a_proven_phone_is_not_exchanged(counter: Counter) -> None:
    """With the proof of one phone nobody is shown the people of another."""
    known(counter, "Пётр")
    counter.join(first_name="Олег")
    counter.apply(phone="+7 900 000 55 55")
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
        assert applying.look(session, application, now=counter.now).people is None
    with pytest.raises(PhoneNotProven):
        counter.choose(application, None)


def test_a_form_is_over_after_an_hour(counter: Counter) -> None:
    known(counter, "Пётр")
    told = counter.join()
    assert told.people is not None
    with counter.database.read_tx() as session:
        application = session.exec(select(Application)).one().public_id
    late = counter.choose(application, None, now=counter.later(hours=1))
    assert (late.outcome, late.card) == (Outcome.EXPIRED, None)


def test_asked_again_the_code_is_another_and_both_serve(counter: Counter) -> None:
    applied = counter.apply()
    soon = applying.again(
        counter.database, applied.application, route=Route.SMS, address="", now=counter.now
    )
    assert soon == applied.proof
    applying.again(
        counter.database, applied.application, route=Route.SMS, address="",
        now=counter.later(seconds=61),
    )  # fmt: skip
    codes = counter.codes()
    assert len(codes) == 2
    assert counter.confirm(applied.application, codes[0]).card is not None


def test_a_route_that_is_not_offered(counter: Counter) -> None:
    with pytest.raises(InputError):
        counter.apply(route=Route.MESSENGER)
    assert counter.count(Application) == 0


def test_too_many_codes_leave_nothing_behind(counter: Counter) -> None:
    """The application that found no more messages is undone with them."""
    nonces = (f"nonce-of-a-pump-{number}" for number in count())
    seen = [outcome(lambda: counter.apply(next(nonces))) for _ in range(7)]
    assert seen.count("too_many_tries") == 2
    assert (counter.count(Application), counter.count(Message)) == (5, 5)


def test_no_code_reaches_the_card_without_the_application(counter: Counter) -> None:
    counter.apply()
    (code,) = counter.codes()
    for application in ("0" * 20, NONCE, ""):
        with pytest.raises(NotFound):
            counter.confirm(application, code)


def test_the_proof_of_one_application_serves_no_other(counter: Counter) -> None:
    counter.apply("nonce-of-the-first-one")
    second = counter.apply("nonce-of-the-second-one", phone="+79000005555")
    code = counter.codes()[0]
    if code != counter.codes()[1]:
        assert counter.confirm(second.application, code).outcome is Outcome.WRONG
