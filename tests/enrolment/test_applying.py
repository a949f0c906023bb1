"""A form, a code, a card: one of each, whatever is sent twice, and nothing is told before the
phone is proven."""

from __future__ import annotations

from datetime import date
from functools import partial
from itertools import count

import pytest
from sqlmodel import col, delete, select

from tests.concurrency.test_ledger import outcome, together
from tests.enrolment.conftest import NONCE, PHONE, Counter
from tests.factories import TILL
from walletsvc.access.models import Staff
from walletsvc.cards.groups.models import GroupMember, JoinProof
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import add as add_number
from walletsvc.core.errors import InputError, NotFound, PhoneNotProven, Refused
from walletsvc.enrolment import applying, sources, tasks
from walletsvc.enrolment.models import Application, ApplicationState, Registration
from walletsvc.enrolment.service import enrol
from walletsvc.enrolment.settings import FIELDS, Presence
from walletsvc.ledger import service as ledger
from walletsvc.ledger.queries import balance
from walletsvc.merchants.models import Branch
from walletsvc.merchants.service import create_branch
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving import tasks as proof_tasks
from walletsvc.messaging.proving.models import PhoneProof, Route
from walletsvc.messaging.proving.service import Outcome
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.limits import LimitCounter


def wrong(code: str) -> str:
    """Another code than this."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def known(counter: Counter, first_name: str, last_name: str = "Кузнецова") -> Card:
    """A member with the same phone, whom somebody entered without proof."""
    with counter.database.write_tx() as session:
        return enrol(
            session,
            programme=counter.shop.programme,
            phone=PHONE,
            first_name=first_name,
            last_name=last_name,
            actor=TILL,
            now=counter.now,
        ).card


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


def plastic(counter: Counter, number: str = "5001", phone: str | None = None) -> Card:
    """A card of an old base, with points, that nobody claimed."""
    with counter.database.write_tx() as session:
        card = enrol(
            session, programme=counter.shop.programme, phone=phone, first_name="Анна",
            way=Way.IMPORT, actor=TILL, now=counter.now,
        ).card  # fmt: skip
        add_number(session, card, number, counter.now)
        ledger.credit(
            session, card.account_id, 120, source="import", actor=TILL, reason="Старая база",
            now=counter.now, card_id=card.id,
        )  # fmt: skip
    return card


def test_who_has_a_plastic_card_gets_it_with_all_that_is_on_it(counter: Counter) -> None:
    card = plastic(counter)
    done = counter.join(plastic_number="50 01")
    assert done.card is not None
    assert done.card.id == card.id
    with counter.database.read_tx() as session:
        assert session.get_one(Card, card.id).verified_at == counter.now
        assert balance(session, card.account_id) == 120
    assert counter.count(Consent) == 2


def test_who_is_known_from_elsewhere_stays_one_person_with_their_plastic_card(
    counter: Counter,
) -> None:
    """A customer of another programme claims a card here, and registers again later."""
    with counter.database.write_tx() as session:
        find_or_create_person(
            session, organisation_id=counter.shop.organisation.id, phone="+79000001234",
            first_name="Анна", last_name="Кузнецова", now=counter.now,
        )  # fmt: skip
    card = plastic(counter)
    done = counter.join(plastic_number="5001")
    counter.now = counter.later(hours=3)
    again = counter.join("nonce-of-a-form-without")
    assert done.card is not None
    assert again.card is not None
    assert (done.card.id, again.card.id) == (card.id, card.id)


def test_a_plastic_card_of_somebody_else_is_refused_and_the_rest_goes_on(counter: Counter) -> None:
    """A number that is none, and one whose phone is another, look alike; a few may be tried; then
    the form goes its way without one."""
    plastic(counter, "5001", phone="+79000009999")
    refused = counter.join(plastic_number="5001")
    unknown = counter.join("nonce-of-another-form", plastic_number="5002")
    assert refused == unknown
    assert (refused.card, refused.plastic_refused) == (None, True)
    mended = counter.apply("nonce-of-a-third-form", plastic_number="5001", phone="+79000009999")
    assert counter.confirm(mended.application, counter.codes()[-1]).card is not None
    with counter.database.read_tx() as session:
        application = session.exec(select(Application).order_by(col(Application.id))).first()
    assert application is not None
    again = counter.confirm(application.public_id, "")
    assert (again.card, again.plastic_refused) == (None, True)
    seen = [
        outcome(
            lambda: applying.claim(
                counter.database, application.public_id, number="5003", now=counter.now
            )
        )
        for _ in range(5)
    ]
    assert seen == ["done"] * 3 + ["too_many_tries"] * 2
    assert counter.choose(application.public_id, None).card is not None


def test_cards_that_were_claimed_count_as_tries(counter: Counter) -> None:
    """Numbers go up one by one, and where no phone is known each is a card: five an hour."""
    seen = []
    for number in range(5001, 5008):
        plastic(counter, str(number))
        with counter.database.write_tx() as session:
            session.execute(delete(LimitCounter).where(col(LimitCounter.name).like("proof-%")))
        applied = counter.apply(f"nonce-of-a-thief-{number}", plastic_number=str(number))
        code = counter.codes()[-1]
        seen.append(outcome(partial(counter.confirm, applied.application, code)))
    assert seen == ["done"] * 5 + ["too_many_tries"] * 2


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
