"""What new members get comes once for a proven phone, whatever names are typed with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import delete
from sqlmodel import col, select, update

from tests.concurrency.at_once import together
from tests.enrolment.conftest import PHONE, Counter
from tests.enrolment.test_gifts import publish
from tests.factories import TILL
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.core.errors import Refused
from walletsvc.enrolment import tasks
from walletsvc.enrolment.completing import MOST_PEOPLE
from walletsvc.enrolment.merging import service as merging
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.enrolment.personal.models import WelcomedPhone
from walletsvc.enrolment.phones import service as phones
from walletsvc.enrolment.service import enrol
from walletsvc.ledger.queries import balance
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.phones import lock_phone
from walletsvc.people.service import find_or_create_person

BOOK = {"earn": {"percent": "5"}, "events": {"registration": {"points": 300}}}


@pytest.fixture
def generous(counter: Counter) -> Counter:
    """A shop that gives 300 points to new members."""
    with counter.database.write_tx() as session:
        publish(session, counter.shop, BOOK, counter.now)
    return counter


def begun(counter: Counter, number: int, **changes: object) -> str:
    """A form under another name whose phone is proven, at an hour of its own."""
    now = counter.later(hours=number * 2)
    applied = counter.apply(
        f"nonce-of-name-{number:02}", first_name=f"Имя{'абвгдежзик'[number]}", now=now, **changes
    )
    done = counter.confirm(applied.application, counter.codes()[-1], now=now)
    assert done.people is not None
    return applied.application


def points(counter: Counter) -> int:
    """All that all cards have together."""
    with counter.database.read_tx() as session:
        accounts = set(session.exec(select(Card.account_id)))
        return sum(balance(session, account) for account in accounts)


@pytest.mark.parametrize("shared", [True, False])
def test_invented_names_bring_one_gift(generous: Counter, shared: bool) -> None:
    first = generous.join().card
    assert first is not None
    with generous.database.read_tx() as session:
        host = session.get_one(Person, first.person_id).public_id if shared else None
    for number in range(1, 5):
        application = begun(generous, number)
        now = generous.later(hours=number * 2)
        generous.choose(application, None, share_with=host, now=now)
    assert generous.count(Card) == 5
    assert points(generous) == 300


def test_whoever_shares_a_balance_brings_none(generous: Counter) -> None:
    """Also when the one who shares it had no gift: the rules came later."""
    with generous.database.write_tx() as session:
        publish(session, generous.shop, {"earn": {"percent": "5"}}, generous.now)
        host = enrol(
            session, programme=generous.shop.programme, phone=PHONE, first_name="Пётр",
            actor=TILL, now=generous.now,
        ).person  # fmt: skip
        publish(session, generous.shop, BOOK, generous.now)
    application = begun(generous, 1)
    generous.choose(application, None, share_with=host.public_id, now=generous.later(hours=2))
    assert points(generous) == 0


def test_a_phone_that_was_left_and_taken_again_brings_none(generous: Counter) -> None:
    """The proof of the first agreement still tells of it."""
    generous.join()
    with generous.database.write_tx() as session:
        session.delete(session.exec(select(PersonPhone)).one())
    now = generous.later(hours=2)
    applied = generous.apply("nonce-of-a-new-name", first_name="Ольга", now=now)
    done = generous.confirm(applied.application, generous.codes()[-1], now=now)
    assert done.card is not None
    assert points(generous) == 300


def test_who_was_erased_and_comes_again_is_welcomed_no_more(generous: Counter) -> None:
    """Of the phone a keyed hash is left, which names nobody, for a year; by then the purpose is
    over."""
    erase_anna(generous)
    again = generous.later(hours=2)
    assert generous.join("nonce-of-who-was-gone", now=again).card is not None
    assert (points(generous), generous.count(WelcomedPhone)) == (0, 1)
    erase_anna(generous, again)
    tasks.forget_welcomes(generous.database, generous.later(days=364))
    assert generous.count(WelcomedPhone) == 1
    late = generous.later(days=366)
    tasks.forget_welcomes(generous.database, late)
    assert generous.count(WelcomedPhone) == 0
    generous.join("nonce-of-a-year-later", now=late)
    assert points(generous) == 300


def test_erasing_keeps_nothing_of_a_phone_that_had_no_gift(generous: Counter) -> None:
    """Neither of one whose programme gives none, nor for other programmes than that of the card."""
    with generous.database.write_tx() as session:
        publish(session, generous.shop, {"earn": {"percent": "5"}}, generous.now)
    erase_anna(generous)
    assert generous.count(WelcomedPhone) == 0


def test_who_left_the_points_to_a_group_had_them(generous: Counter) -> None:
    first = generous.join().card
    assert first is not None
    with generous.database.write_tx() as session:
        host = enrol(
            session, programme=generous.shop.programme, phone="+79000005555", first_name="Пётр",
            actor=TILL, now=generous.now,
        ).card  # fmt: skip
        groups.share(session, session.get_one(Card, first.id), host, actor=TILL, now=generous.now)
    erase_anna(generous, joined=True)
    assert generous.count(WelcomedPhone) == 1


def test_a_phone_that_staff_changed_had_its_gift(generous: Counter) -> None:
    """Whoever registers with it anew, perhaps with the SIM that was found again."""
    enrolled(generous)
    generous.join("nonce-of-who-found-it", now=generous.later(hours=2))
    assert points(generous) == 300


def enrolled(counter: Counter, **change: Any) -> int:
    """Somebody with the phone, who has another one by now; their internal id."""
    with counter.database.write_tx() as session:
        person = enrol(
            session, programme=counter.shop.programme, phone=PHONE, first_name="Анна",
            actor=TILL, now=counter.now,
        ).person  # fmt: skip
        phones.change(
            session, person, former=PHONE, phone="+79000005555", reason="SIM", actor=TILL,
            now=counter.now, **change,
        )  # fmt: skip
        return person.id


def test_the_owner_of_a_number_that_was_mistyped_is_welcomed(generous: Counter) -> None:
    """It was never the member's, also when the member is erased."""
    enrolled(generous, mistyped=True)
    erase_anna(generous, joined=True)
    generous.join("nonce-of-the-owner-1", now=generous.later(hours=2))
    assert points(generous) == 300


def test_a_former_phone_of_who_was_merged_had_its_gift(generous: Counter) -> None:
    """Also where the card is another row's by now; and of a proof of consent the same."""
    person = enrolled(generous)
    with generous.database.write_tx() as session:
        kept = find_or_create_person(
            session, organisation_id=generous.shop.organisation.id, phone="+79000007777",
            first_name="Аня", now=generous.now,
        ).id  # fmt: skip
        merging.merge(
            session, session.get_one(Person, kept), session.get_one(Person, person),
            reason="x", actor=TILL, now=generous.now,
        )  # fmt: skip
    generous.join("nonce-of-who-was-merged", now=generous.later(hours=2))
    assert points(generous) == 300


def test_erasing_remembers_a_phone_whose_row_is_gone(generous: Counter) -> None:
    """Another who had it since was erased before."""
    enrolled(generous)
    with generous.database.write_tx() as session:
        session.execute(delete(Phone).where(col(Phone.e164) == PHONE))
    erase_anna(generous, joined=True)
    generous.join("nonce-of-who-was-gone", now=generous.later(hours=2))
    assert points(generous) == 0


def test_erasing_remembers_a_phone_that_only_a_proof_tells(generous: Counter) -> None:
    """People changed their phones before the history of it began."""
    generous.join()
    with generous.database.write_tx() as session:
        other = lock_phone(session, "+79000005555", generous.now)
        session.exec(update(PersonPhone).values(phone_id=other.id))
    erase_anna(generous, joined=True)
    generous.join("nonce-of-who-was-gone", now=generous.later(hours=2))
    assert points(generous) == 0


def erase_anna(counter: Counter, now: datetime | None = None, *, joined: bool = False) -> None:
    """Register Anna, unless she is there, and take her out again."""
    at = now or counter.now
    if now is None and not joined:
        counter.join()
    with counter.database.write_tx() as session:
        anna = session.exec(
            select(Person).where(Person.first_name == "Анна", col(Person.closed_at).is_(None))
        ).one()
        erase(session, anna, reason="x", actor=TILL, now=at, forfeit=True)


def test_another_phone_is_welcomed(generous: Counter) -> None:
    generous.join()
    generous.join("nonce-of-another-phone", phone="+7 900 000 55 55")
    assert points(generous) == 600


def test_two_names_at_once_bring_one_gift(generous: Counter) -> None:
    """Both forms are proven before either has a card."""
    tabs = [
        generous.apply(f"nonce-of-a-tab-{number}", first_name=name)
        for number, name in enumerate(("Анна", "Ольга", "Мария"))
    ]
    codes = generous.codes()
    done = together(3, lambda tab: generous.confirm(tabs[tab].application, codes[tab]))
    late = [tab for each, tab in zip(done, tabs, strict=True) if each.card is None]
    for tab in late:
        generous.choose(tab.application, None)
    assert (generous.count(Card), points(generous)) == (3, 300)


def test_a_phone_has_so_many_people_by_the_form_and_no_more(generous: Counter) -> None:
    generous.join()
    for number in range(1, MOST_PEOPLE):
        generous.choose(begun(generous, number), None, now=generous.later(hours=number * 2))
    now = generous.later(hours=MOST_PEOPLE * 2)
    application = begun(generous, MOST_PEOPLE)
    with pytest.raises(Refused, match="ask at the till"):
        generous.choose(application, None, now=now)
    with generous.database.read_tx() as session:
        known = session.exec(select(Person).order_by(col(Person.id))).all()
    assert len(known) == MOST_PEOPLE
    # Who is one of them gets their card all the same.
    assert generous.choose(application, known[0].public_id, now=now).card is not None
