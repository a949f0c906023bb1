"""Staff change the phone of somebody who lost it; nobody becomes one with anybody by that."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from time import sleep
from typing import Any

import pytest
from sqlmodel import Session, select

from tests.concurrency.at_once import outcome, together
from tests.factories import TILL, Shop, make_member, make_shop
from tests.messaging.making import add_gateway
from walletsvc.access.staff import create_staff
from walletsvc.core.errors import Conflict, InputError
from walletsvc.enrolment.merging import service as merging
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.enrolment.personal.export import export
from walletsvc.enrolment.phones import moving, service
from walletsvc.enrolment.phones.models import PhoneChange
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.people import locking as people_locking
from walletsvc.people import phones
from walletsvc.people.models import Person, Phone
from walletsvc.people.sessions import service as sessions
from walletsvc.people.sessions.models import CustomerSession
from walletsvc.storage.engine import Database

OLD, NEW = "+79000001001", "+79000001002"


@dataclass
class Lost:
    """Anna, whose phone is lost; each verb is a transaction."""

    database: Database
    now: datetime
    shop: Shop
    person: int

    def change(self, **changes: Any) -> PhoneChange:
        given: dict[str, Any] = {
            "former": OLD, "phone": NEW, "reason": "SIM потеряна", "actor": TILL, "now": self.now,
        }  # fmt: skip
        with self.database.write_tx() as session:
            return service.change(session, session.get_one(Person, self.person), **given | changes)

    def prove(self) -> None:
        with self.database.write_tx() as session:
            phones.verify(session, session.get_one(Person, self.person), OLD, self.now)

    def phones(self, person: int | None = None) -> list[str]:
        with self.database.read_tx() as session:
            return list(phones.phones_of(session, person or self.person))

    def told(self) -> list[str | None]:
        """To which phones it was said."""
        with self.database.read_tx() as session:
            found = session.exec(select(Message).where(Message.kind == MessageKind.PHONE_CHANGED))
            return [each.recipient for each in found]

    def merge(self, kept: int, merged: int) -> PersonMerge:
        with self.database.write_tx() as session:
            return merging.merge(
                session, session.get_one(Person, kept), session.get_one(Person, merged),
                reason="x", actor=TILL, now=self.now,
            )  # fmt: skip

    def undo(self, merger: PersonMerge) -> None:
        with self.database.write_tx() as session:
            again = session.get_one(PersonMerge, merger.id)
            merging.undo(session, again, reason="x", actor=TILL, now=self.now)

    def history(self, person: int) -> list[PhoneChange]:
        with self.database.read_tx() as session:
            return service.history(session, session.get_one(Person, person))

    def other(self, name: str, phone: str = NEW) -> int:
        with self.database.write_tx() as session:
            return make_member(session, self.shop, self.now, name, phone)[0].person_id


@pytest.fixture
def lost(database: Database, now: datetime) -> Lost:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        add_gateway(session, now, Channel.SMS)
        card, _ = make_member(session, shop, now, "Анна", OLD)
        return Lost(database, now, shop, card.person_id)


def test_the_new_phone_takes_the_old_ones_place(lost: Lost) -> None:
    """The history says what, why and who; the old phone is told; every browser is logged out."""
    lost.prove()
    with lost.database.write_tx() as session:
        employee = create_staff(
            session, organisation_id=lost.shop.organisation.id, name="Ольга", now=lost.now
        )
        sessions.open_session(
            session, session.get_one(Person, lost.person), "t" * 32, phone=OLD, proof_id=None,
            device="", now=lost.now,
        )  # fmt: skip
    made = lost.change(employee=employee)
    assert lost.phones() == [NEW]
    (message,) = lost.told()
    assert f'"phone": "{OLD}"' in str(message)
    with lost.database.read_tx() as session:
        (kept,) = service.history(session, session.get_one(Person, lost.person))
        assert session.exec(select(CustomerSession.closed_at)).all() == [lost.now]
    assert kept == made
    assert (kept.former, kept.phone, kept.proven, kept.told) == (OLD, NEW, False, True)
    assert (kept.reason, kept.actor, kept.employee_id) == ("SIM потеряна", str(TILL), employee.id)


def test_a_proof_makes_the_new_phone_proven(lost: Lost) -> None:
    proof = PhoneProof(
        organisation_id=lost.shop.organisation.id, purpose=ProofPurpose.TILL,
        route=Route.SMS, phone=NEW, created_at=lost.now, expires_at=lost.now,
    )  # fmt: skip
    assert lost.change(proof=proof).proven
    assert lost.change(former=NEW, phone="+79000001003").proven is False


def test_whoever_has_a_mistyped_number_is_not_told(lost: Lost) -> None:
    assert not lost.change(mistyped=True).told
    assert lost.told() == []


def test_a_proven_phone_was_not_mistyped(lost: Lost) -> None:
    """Or who takes a card away could do it in silence."""
    lost.prove()
    with pytest.raises(InputError, match="mistyped"):
        lost.change(mistyped=True)
    assert lost.phones() == [OLD]


def test_somebody_of_the_same_name_is_to_be_merged(lost: Lost) -> None:
    """Also when the phone is said to be shared: two of one name and phone are nobody's guess."""
    twin = lost.other("анна")
    for shared in (False, True):
        with pytest.raises(Conflict) as refused:
            lost.change(shared=shared)
        with lost.database.read_tx() as session:
            there = session.get_one(Person, twin)
            assert refused.value.data == {"merge_with": [there.public_id]}
            assert there.closed_at is None
    assert (lost.phones(), lost.phones(twin)) == ([OLD], [NEW])


def test_a_familys_phone_stays_theirs_too(lost: Lost) -> None:
    mother = lost.other("Мария")
    with pytest.raises(Conflict) as refused:
        lost.change()
    with lost.database.read_tx() as session:
        assert refused.value.data == {"people": [session.get_one(Person, mother).public_id]}
    lost.change(shared=True)
    assert lost.phones() == lost.phones(mother) == [NEW]


def test_another_organisations_members_are_in_nobodys_way(lost: Lost) -> None:
    with lost.database.write_tx() as session:
        make_member(session, make_shop(session, lost.now, "other"), lost.now, "Анна", NEW)
    lost.change()
    assert lost.phones() == [NEW]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"former": NEW, "phone": "+79000001003"}, "former"),
        ({"former": None}, "former"),
        ({"phone": OLD}, "phone"),
        ({"reason": " "}, "reason"),
    ],
)
def test_what_is_wrong_is_named(lost: Lost, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refused:
        lost.change(**changes)
    assert [each.field for each in refused.value.fields] == [field]
    assert lost.phones() == [OLD]


def test_who_has_no_phone_gets_one(lost: Lost) -> None:
    with lost.database.write_tx() as session:
        nobody = Person(
            organisation_id=lost.shop.organisation.id, first_name="Пётр", created_at=lost.now
        )
        session.add(nobody)
    lost.person = nobody.id
    made = lost.change(former=None)
    assert (made.former, made.told, lost.phones()) == (None, False, [NEW])


def test_two_at_once_change_it_once(lost: Lost) -> None:
    """The second is told that it came too late, whichever phone it brings."""
    brought = [NEW, "+79000001003"]
    results = together(2, lambda number: outcome(lambda: lost.change(phone=brought[number])))
    assert results.count("done") == 1
    assert lost.phones() == [brought[results.index("done")]]
    with lost.database.read_tx() as session:
        assert len(session.exec(select(PhoneChange)).all()) == 1


def test_who_is_merged_or_gone_has_no_phone_to_change(lost: Lost) -> None:
    kept = lost.other("Мария", "+79000001003")
    lost.merge(kept, lost.person)
    with pytest.raises(Conflict, match="merged"):
        lost.change()
    with lost.database.write_tx() as session:
        erase(session, session.get_one(Person, kept), reason="x", actor=TILL, now=lost.now)
    lost.person = kept
    with pytest.raises(Conflict, match="erased"):
        lost.change(former=None)


def test_the_former_phone_is_told_to_its_owner_and_erased_with_them(lost: Lost) -> None:
    """Nothing of it is left anywhere, though it was theirs no more."""
    lost.change()
    with lost.database.write_tx() as session:
        told = export(session, session.get_one(Person, lost.person))
        assert [each["former"] for each in told["phone_changes"]] == [OLD]
        erase(session, session.get_one(Person, lost.person), reason="x", actor=TILL, now=lost.now)
    with lost.database.read_tx() as session:
        assert _phones(session) == []
        change = session.exec(select(PhoneChange)).one()
        assert (change.former, change.phone, change.reason) == (None, "", "")


def test_a_former_phone_that_is_somebody_elses_by_now_stays(lost: Lost) -> None:
    lost.change()
    stranger = lost.other("Олег", OLD)
    with lost.database.write_tx() as session:
        later = lost.now + timedelta(days=1)
        erase(session, session.get_one(Person, lost.person), reason="x", actor=TILL, now=later)
    assert lost.phones(stranger) == [OLD]


@pytest.mark.parametrize("late", [False, True])
def test_the_new_phones_last_holder_is_erased_meanwhile(
    lost: Lost, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Its row goes with them, before or after this waits for it: then it is made anew."""
    other = lost.other("Мария")
    asked, waits = Event(), Event()
    real = people_locking.lock_phones

    def lock_phones(session: Session, ids: Sequence[int]) -> list[Phone]:
        waits.set()
        return real(session, ids)

    monkeypatch.setattr(moving, "lock_phones", lock_phones)

    def gone() -> None:
        with lost.database.write_tx() as session:
            person = session.get_one(Person, other)
            if late:
                people_locking.lock_persons(session, other)
                asked.set()
                assert waits.wait(10)
                sleep(0.2)  # it is in the database by now; earlier it would pass as well
            erase(session, person, reason="x", actor=TILL, now=lost.now)
            asked.set()

    def changed() -> PhoneChange:
        assert asked.wait(10)
        return lost.change(shared=True)

    with ThreadPoolExecutor(2) as pool:
        erasing, changing = pool.submit(gone), pool.submit(changed)
        erasing.result()
        changing.result()
    assert lost.phones() == [NEW]


def test_a_merger_is_undone_after_the_phone_was_changed(lost: Lost) -> None:
    """Whose phone it was has the new one, with the history; the other has nothing of it."""
    other = lost.other("Мария", "+79000001003")
    merger = lost.merge(other, lost.person)
    anna, lost.person = lost.person, other
    lost.change()
    lost.change(former=NEW, phone="+79000001004")
    lost.change(former="+79000001003", phone="+79000001005")
    assert [each.phone[-1] for each in lost.history(other)] == ["5", "4", "2"]
    lost.undo(merger)
    assert (lost.phones(anna), lost.phones(other)) == (["+79000001004"], ["+79000001005"])
    assert [each.former for each in lost.history(anna)] == [NEW, OLD]
    assert [each.former for each in lost.history(other)] == ["+79000001003"]


def test_a_phone_of_both_was_changed_for_both(lost: Lost) -> None:
    other = lost.other("Мария", OLD)
    merger = lost.merge(other, lost.person)
    anna, lost.person = lost.person, other
    lost.change()
    lost.undo(merger)
    assert lost.phones(anna) == lost.phones(other) == [NEW]


def test_a_merger_stays_when_nothing_tells_whose_phone_was_changed(lost: Lost) -> None:
    """The former number is forgotten: somebody who had it since was erased."""
    other = lost.other("Мария", "+79000001003")
    merger = lost.merge(other, lost.person)
    lost.person = other
    made = lost.change()
    stranger = lost.other("Олег", OLD)
    with lost.database.write_tx() as session:
        erase(session, session.get_one(Person, stranger), reason="x", actor=TILL, now=lost.now)
    with pytest.raises(Conflict) as refused:
        lost.undo(merger)
    assert refused.value.data == {"phone_change": made.public_id}
    assert lost.phones() == [NEW, "+79000001003"] or lost.phones() == ["+79000001003", NEW]


def test_the_history_of_who_was_merged_is_the_kept_ones_too(lost: Lost) -> None:
    made = lost.change()
    kept = lost.other("Мария", "+79000001003")
    lost.merge(kept, lost.person)
    assert lost.history(kept) == [made]


def _phones(session: Session) -> list[str]:
    return list(session.exec(select(Phone.e164)).all())
