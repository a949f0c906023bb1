"""A form, a code, a card: one of each, whatever is sent twice."""

from __future__ import annotations

from datetime import date

import pytest
from sqlmodel import col, delete, select

from tests.concurrency.at_once import together
from tests.enrolment.conftest import PHONE, Counter
from walletsvc.access.models import Staff
from walletsvc.cards.models import Card
from walletsvc.core.errors import InputError, NotFound, Refused
from walletsvc.enrolment import applying, sources, tasks
from walletsvc.enrolment.models import Application, ApplicationState, Registration
from walletsvc.enrolment.settings import FIELDS, Presence
from walletsvc.ledger.queries import balance
from walletsvc.merchants.models import Branch
from walletsvc.merchants.service import create_branch
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving import tasks as proof_tasks
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.messaging.proving.service import Outcome
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.models import Person, PersonPhone


def test_the_whole_way(counter: Counter) -> None:
    """Person, phone, consents with their proof, card, and where it came from."""
    applied = counter.apply()
    assert applied.proof is not None
    assert counter.count(Person) == 0
    (code,) = counter.codes()
    done = counter.confirm(applied.application, code)
    assert (done.outcome, done.people) == (Outcome.PROVEN, None)
    assert done.card is not None
    with counter.database.read_tx() as session:
        person = session.get_one(Person, done.card.person_id)
        assert (person.first_name, person.last_name) == ("Анна", "Кузнецова")
        assert session.exec(select(PersonPhone)).one().verified_at == counter.now
        proof = session.exec(select(PhoneProof)).one()
        agreed = session.exec(select(Consent).order_by(col(Consent.id))).all()
        assert [(each.purpose, each.channel) for each in agreed] == [
            (Purpose.DATA, None),
            (Purpose.ADVERTISING, ConsentChannel.SMS),
        ]
        for each in agreed:
            assert (each.way, each.phone, each.proof_id) == (Way.FORM, PHONE, proof.id)
        registration = session.exec(select(Registration)).one()
        assert registration.way is Way.FORM
        assert session.get_one(Card, done.card.id).verified_at == counter.now
        row = session.exec(select(Application)).one()
        assert (row.state, row.card_id) == (ApplicationState.DONE, done.card.id)
        assert (row.form, row.phone) == ("", "")
    kinds = [kind for kind, _ in counter.messages()]
    assert kinds == ["code", "card_link"]
    assert f"https://cards.example.test/c/{done.card.link_token}" in counter.messages()[1][1]


def test_the_cards_address_goes_to_the_proven_phone_only(counter: Counter) -> None:
    """An e-mail address was typed and not proven: it is no second way for a secret."""
    counter.rules(fields=dict.fromkeys(FIELDS, Presence.OPTIONAL))
    counter.join(email="somebody@example.com")
    with counter.database.read_tx() as session:
        (link,) = session.exec(select(Message).where(Message.kind == MessageKind.CARD_LINK))
    assert link.channels == ["sms"]
    assert "somebody" not in link.recipient


def test_every_wrong_field_is_named_at_once(counter: Counter) -> None:
    counter.rules(fields=dict.fromkeys(FIELDS, Presence.REQUIRED))
    with pytest.raises(InputError) as caught:
        counter.apply(phone="12", first_name=" ", last_name="", email="a@b", data_text=None)
    assert {(each.field, each.code) for each in caught.value.fields} == {
        ("phone", "invalid_phone"),
        ("first_name", "required"),
        ("last_name", "required"),
        ("birthday", "required"),
        ("email", "invalid_email"),
        ("data_text", "required"),
    }
    assert counter.count(Application) == 0


def test_what_is_not_asked_for_is_not_kept(counter: Counter) -> None:
    counter.rules(fields=dict.fromkeys(FIELDS, Presence.HIDDEN))
    card = counter.join(email="a@example.com", birthday=date(1990, 1, 1)).card
    assert card is not None
    with counter.database.read_tx() as session:
        person = session.get_one(Person, card.person_id)
        assert (person.last_name, person.birthday, person.email) == ("", None, None)


def test_a_closed_programme_takes_nobody(counter: Counter) -> None:
    counter.rules(open=False)
    with pytest.raises(Refused):
        counter.apply()
    with pytest.raises(NotFound):
        counter.apply(programme_slug="another")
    assert counter.messages() == []


def test_a_double_click_is_one_application_and_one_message(counter: Counter) -> None:
    """Eight submits of one page at once."""
    applied = together(8, lambda _: counter.apply())
    assert len({each.application for each in applied}) == 1
    assert (counter.count(Application), counter.count(Message)) == (1, 1)


def test_a_code_sent_by_eight_at_once_makes_one_card(counter: Counter) -> None:
    applied = counter.apply()
    (code,) = counter.codes()
    done = together(8, lambda _: counter.confirm(applied.application, code))
    assert {each.outcome for each in done} == {Outcome.PROVEN}
    assert len({each.card.id for each in done if each.card}) == 1
    assert (counter.count(Card), counter.count(Person), counter.count(Consent)) == (1, 1, 2)
    assert [kind for kind, _ in counter.messages()] == ["code", "card_link"]


def test_two_tabs_make_one_card(counter: Counter) -> None:
    """Each has its own form and its own code; both are confirmed at the same moment."""
    tabs = [counter.apply(f"nonce-of-a-tab-{number}") for number in range(4)]
    codes = counter.codes()
    done = together(4, lambda tab: counter.confirm(tabs[tab].application, codes[tab]))
    assert len({each.card.id for each in done if each.card}) == 1
    assert (counter.count(Card), counter.count(Person)) == (1, 1)


def test_the_source_and_its_branch_are_known(counter: Counter) -> None:
    with counter.database.write_tx() as session:
        branch = create_branch(
            session, organisation_id=counter.shop.organisation.id, name="У моста", now=counter.now
        )
        source = sources.create(
            session, counter.shop.programme, branch=branch.public_id, campaign="осень",
            now=counter.now,
        )  # fmt: skip
    assert counter.join(source=source.code.lower()).card is not None
    counter.apply("nonce-of-who-gave-up", source=source.code, phone="+79000007777")
    with counter.database.read_tx() as session:
        registration = session.exec(select(Registration)).one()
        assert (registration.source_id, registration.branch_id) == (source.id, branch.id)
        (told,) = sources.counted(session, counter.shop.programme)
        assert (told.applications, told.cards) == (2, 1)


@pytest.mark.parametrize("code", ["nothing", "closed"])
def test_a_source_that_is_none_counts_for_nothing(counter: Counter, code: str) -> None:
    with counter.database.write_tx() as session:
        source = sources.create(session, counter.shop.programme, now=counter.now)
        sources.close(session, source, counter.now)
    assert counter.join(source=source.code if code == "closed" else "NOSUCH").card is not None
    with counter.database.read_tx() as session:
        assert session.exec(select(Registration)).one().source_id is None


def test_the_responsible_employee_is_told(counter: Counter) -> None:
    """The branch's, as nobody is named for the person; without the customer's phone."""
    with counter.database.write_tx() as session:
        branch = create_branch(
            session, organisation_id=counter.shop.organisation.id, name="У моста", now=counter.now
        )
        employee = Staff(
            organisation_id=counter.shop.organisation.id, name="Ольга", email="o@example.com",
            created_at=counter.now,
        )  # fmt: skip
        session.add(employee)
        session.flush()
        session.get_one(Branch, branch.id).responsible_id = employee.id
        source = sources.create(
            session, counter.shop.programme, branch=branch.public_id, now=counter.now
        )
    counter.join(source=source.code)
    told = dict(counter.messages())["new_member"]
    assert "Анна К." in told
    assert "У моста" in told
    assert "1234" not in told


def test_the_balance_of_a_new_card_is_what_the_rules_give(counter: Counter) -> None:
    card = counter.join().card
    assert card is not None
    with counter.database.read_tx() as session:
        assert balance(session, card.account_id) == 0


def test_what_nobody_finished_is_forgotten(counter: Counter) -> None:
    """With its phone; the source still knows that somebody gave up. Sent again, it goes on."""
    counter.apply()
    assert tasks.give_up(counter.database, counter.later(minutes=59)) == 0
    assert tasks.give_up(counter.database, counter.later(minutes=60)) == 1
    assert tasks.give_up(counter.database, counter.later(minutes=61)) == 0
    with counter.database.read_tx() as session:
        row = session.exec(select(Application)).one()
        assert (row.state, row.form, row.phone) == (ApplicationState.GIVEN_UP, "", "")
        seen = applying.look(session, row.public_id, now=counter.later(hours=2))
        assert (seen.phone, seen.proof, seen.people) == ("", None, None)
    late = counter.confirm(row.public_id, counter.codes()[0], now=counter.later(hours=2))
    assert late.outcome is Outcome.EXPIRED
    applied = counter.apply(now=counter.later(hours=2))
    done = counter.confirm(
        applied.application, counter.codes()[-1], now=counter.later(hours=2, minutes=1)
    )
    assert done.card is not None


def test_proofs_of_members_can_be_forgotten(counter: Counter) -> None:
    """Nothing of ours holds them."""
    card = counter.join().card
    assert card is not None
    with counter.database.write_tx() as session:
        session.execute(delete(Consent))
    assert proof_tasks.forget(counter.database, counter.later(days=40)) == 1
