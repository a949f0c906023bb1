"""A number that is somebody's no more: who has it next is not told of, nor erased with them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from tests.enrolment.conftest import PHONE, Counter
from tests.factories import TILL, make_shop
from walletsvc.enrolment.importing.models import Import, ImportRow
from walletsvc.enrolment.models import Application, ApplicationState
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.enrolment.personal.export import Rows, export
from walletsvc.enrolment.phones import service as phones
from walletsvc.enrolment.service import enrol
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.consents.models import Way
from walletsvc.people.models import Person, Phone
from walletsvc.storage import inbox
from walletsvc.storage.inbox import InboxEntry

NEXT = "+79000005555"


def ivan(counter: Counter, *, mistyped: bool = False, hours: float = 1) -> int:
    """He had the number, and after so many hours has another one."""
    now = counter.later(hours=hours)
    with counter.database.write_tx() as session:
        person = enrol(
            session, programme=counter.shop.programme, phone=PHONE, first_name="Иван",
            actor=TILL, now=counter.now,
        ).person  # fmt: skip
        phones.change(
            session, person, former=PHONE, phone=NEXT, mistyped=mistyped, reason="x", actor=TILL,
            now=now,
        )  # fmt: skip
        return person.id


def exported(counter: Counter, person: int) -> dict[str, Rows]:
    with counter.database.read_tx() as session:
        return export(session, session.get_one(Person, person))


def erased(counter: Counter, person: int) -> None:
    with counter.database.write_tx() as session:
        erase(
            session, session.get_one(Person, person), reason="x", actor=TILL,
            now=counter.later(hours=2), forfeit=True,
        )  # fmt: skip


@pytest.mark.parametrize("mistyped", [False, True])
def test_who_joins_with_the_number_is_a_stranger(counter: Counter, mistyped: bool) -> None:
    """Neither the form nor the code goes out with the former holder's data, and erasing the former
    holder leaves the registration running."""
    person = ivan(counter, mistyped=mistyped)
    now = counter.later(hours=2)
    applied = counter.apply("nonce-of-the-stranger", now=now)
    told = exported(counter, person)
    assert [told[name] for name in ("applications", "phone_proofs")] == [[], []]
    assert "Кузнецова" not in json.dumps(told, default=str, ensure_ascii=False)
    assert all(PHONE not in str(each["recipient"]) or each["person"] for each in told["messages"])
    code = counter.codes()[-1]
    erased(counter, person)
    assert counter.codes()[-1] == code
    assert counter.confirm(applied.application, code, now=now).card is not None


def test_what_came_by_the_number_before_is_told_and_erased(counter: Counter) -> None:
    """A form that was never finished, its proof and its message; not the row of the phone."""
    applied = counter.apply("nonce-of-ivan-himself", first_name="Иван")
    person = ivan(counter)
    told = exported(counter, person)
    assert [each["id"] for each in told["applications"]] == [applied.application]
    assert [each["phone"] for each in told["phone_proofs"]] == [PHONE]
    assert [each["kind"] for each in told["messages"] if not each.get("person")]
    assert [each["e164"] for each in told["phones"]] == [NEXT]
    erased(counter, person)
    with counter.database.read_tx() as session:
        form = session.exec(select(Application)).one()
        assert (form.state, form.phone) == (ApplicationState.GIVEN_UP, "")
        proof = session.exec(select(PhoneProof)).one()
        assert (proof.phone, proof.code_hash) == ("", None)
        assert session.exec(select(Phone)).all() == []
    assert counter.codes() == []


def test_what_came_by_a_mistyped_number_is_its_owners(counter: Counter) -> None:
    """Whenever that was."""
    counter.apply("nonce-of-the-owner-1")
    person = ivan(counter, mistyped=True)
    assert exported(counter, person)["applications"] == []
    erased(counter, person)
    with counter.database.read_tx() as session:
        assert session.exec(select(Application.phone)).one() == PHONE


def test_what_came_while_a_family_had_the_number_is_not_his_alone(counter: Counter) -> None:
    """Also where the others have left the number since."""
    counter.apply("nonce-of-a-family-1")
    with counter.database.write_tx() as session:
        mother = enrol(
            session, programme=counter.shop.programme, phone=PHONE, first_name="Мария",
            actor=TILL, now=counter.now,
        ).person  # fmt: skip
    person = ivan(counter)
    assert exported(counter, person)["applications"] == []
    with counter.database.write_tx() as session:
        phones.change(
            session, session.get_one(Person, mother.id), former=PHONE, phone="+79000006666",
            reason="x", actor=TILL, now=counter.later(hours=2),
        )  # fmt: skip
    assert exported(counter, person)["applications"] == []


def test_what_came_before_the_number_was_theirs_is_the_former_holders(counter: Counter) -> None:
    """The one who has it now is told of their own, and of nobody else's."""
    counter.apply("nonce-of-ivan-himself", first_name="Иван")
    ivan(counter)
    later = counter.later(hours=2)
    applied = counter.apply("nonce-of-the-next-1", now=later)
    done = counter.confirm(applied.application, counter.codes()[-1], now=later)
    assert done.card is not None
    told = exported(counter, done.card.person_id)
    assert len(told["applications"]) == len(told["phone_proofs"]) == 1
    assert "Иван" not in json.dumps(told, default=str, ensure_ascii=False)


def test_another_organisations_forms_are_not_told(counter: Counter) -> None:
    """Though they came by the same phone; nor erased."""
    with counter.database.write_tx() as session:
        person = enrol(
            session, programme=counter.shop.programme, phone=PHONE, first_name="Иван",
            actor=TILL, now=counter.now,
        ).person  # fmt: skip
        other = make_shop(session, counter.now, "other")
        session.add(
            Application(
                nonce="n", programme_id=other.programme.id, form="{}", phone=PHONE, way=Way.FORM,
                created_at=counter.now, expires_at=counter.now,
            )
        )  # fmt: skip
    assert exported(counter, person.id)["applications"] == []
    erased(counter, person.id)
    with counter.database.read_tx() as session:
        assert session.exec(select(Application.phone)).one() == PHONE


def test_rows_of_imports_and_webhooks_go_by_their_time(counter: Counter) -> None:
    """Those from before the change are erased, later ones are a stranger's."""
    person = ivan(counter)
    with counter.database.write_tx() as session:
        for number, hours in enumerate((0.5, 1.5)):
            _came(session, counter, number, counter.now + timedelta(hours=hours))
    erased(counter, person)
    with counter.database.read_tx() as session:
        rows = session.exec(select(ImportRow.phone).order_by(col(ImportRow.import_id))).all()
        told = session.exec(select(InboxEntry.body).order_by(col(InboxEntry.external_id))).all()
    assert rows == [None, PHONE]
    assert told == [{}, {"from": PHONE[1:]}]


def _came(session: Session, counter: Counter, number: int, at: datetime) -> None:
    """A list with the phone in it, and a webhook."""
    listed = Import(
        organisation_id=counter.shop.organisation.id, programme_id=counter.shop.programme.id,
        digest=b"", reason="", columns=[], actor="x", created_at=at,
    )  # fmt: skip
    session.add(listed)
    session.flush()
    session.add(ImportRow(import_id=listed.id, row=2, phone=PHONE))
    inbox.receive(session, source="sms", external_id=str(number), body={"from": PHONE[1:]}, now=at)
