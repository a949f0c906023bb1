"""A form with the number of a plastic card."""

from __future__ import annotations

from functools import partial

from sqlmodel import col, delete, select

from tests.concurrency.at_once import outcome
from tests.enrolment.conftest import Counter
from tests.factories import TILL
from walletsvc.cards.models import Card
from walletsvc.cards.plastic.service import add as add_number
from walletsvc.enrolment import applying
from walletsvc.enrolment.models import Application
from walletsvc.enrolment.service import enrol
from walletsvc.ledger import service as ledger
from walletsvc.ledger.queries import balance
from walletsvc.people.consents.models import Consent, Way
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.limits import LimitCounter


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
