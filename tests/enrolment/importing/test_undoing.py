"""What of an import does not go any more, since the cards it came onto moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session, col, select

from tests.enrolment.importing.desk import Desk, open_desk
from tests.factories import TILL
from walletsvc.cards import service
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.enrolment.importing import running
from walletsvc.enrolment.merging import service as merging
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.people.models import Person, PersonPhone
from walletsvc.people.phones import lock_phone
from walletsvc.people.service import find_or_create_person
from walletsvc.storage.engine import Database

STANDING = """
SELECT a.id, t.amount, b.tier, b.base FROM accounts a
  LEFT JOIN turnover t ON t.account_id = a.id LEFT JOIN account_tiers b ON b.account_id = a.id
 WHERE a.kind <> 'system' ORDER BY 1, 2
"""
SISTERS = "card;phone;name;points\n1001;+79000000001;Анна;5\n1002;+79000000002;Пётр;5\n"


@pytest.fixture
def desk(database: Database, now: datetime) -> Desk:
    return open_desk(database, now)


def pair(session: Session) -> tuple[Card, Card]:
    """Anna's card and Peter's."""
    found = select(Card).join(Person).order_by(col(Person.first_name))
    anna, peter = session.exec(found).all()
    return anna, peter


@pytest.mark.parametrize(
    "brings",
    [
        "points;turnover\n1003;+79000000001;Анна;0;1500",
        "points;tier\n1003;+79000000001;Анна;0;gold",
    ],
)
@pytest.mark.parametrize("way", ["left", "merged"])
def test_what_came_onto_an_account_that_the_card_left_stays(
    desk: Desk, brings: str, way: str
) -> None:
    """Turnover and tier, without points, of a card that left its group or was merged since."""
    desk.run(desk.check(SISTERS))
    with desk.database.write_tx() as session:
        anna, peter = pair(session)
        if way == "left":
            groups.share(session, anna, peter, actor=TILL, now=desk.now)
    found = desk.run(desk.check(f"card;phone;name;{brings}\n"))
    with desk.database.write_tx() as session:
        anna, peter = session.get_one(Card, anna.id), session.get_one(Card, peter.id)
        if way == "left":
            groups.leave(session, anna, 0, actor=TILL, now=desk.now)
        else:
            merging.merge(
                session,
                session.get_one(Person, peter.person_id),
                session.get_one(Person, anna.person_id),
                reason="One person", actor=TILL, now=desk.now,
            )  # fmt: skip
    before = desk.ask(STANDING)
    gone = desk.undo(found)
    assert desk.outcomes(gone) == {2: "kept"}
    assert desk.ask("SELECT problems #>> '{0,2}' FROM import_rows WHERE outcome = 'kept'") == [
        ("the card has another account" if way == "left" else "the card was merged",)
    ]
    assert desk.ask(STANDING) == before
    assert desk.clean()


def test_a_card_that_two_lists_open_again_is_the_first_ones(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one moment, by two phones of one person: the other list's row joins it."""
    with desk.database.write_tx() as session:
        anna = find_or_create_person(
            session, organisation_id=desk.shop.organisation.id, phone="+79000000001",
            first_name="Анна", now=desk.now,
        )  # fmt: skip
        phone = lock_phone(session, "+79000000003", desk.now)
        session.add(PersonPhone(person_id=anna.id, phone_id=phone.id, created_at=desk.now))
    desk.undo(desk.run(desk.check("card;phone;name\n1001;+79000000001;Анна\n")))
    first, second = (
        desk.check(f"card;phone;name\n{number};{phone};Анна\n")
        for number, phone in ((1002, "+79000000001"), (1003, "+79000000003"))
    )

    def issue_cards(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(running, "issue_cards", service.issue_cards)
        desk.start(second)
        desk.turn()
        return service.issue_cards(*args, **more)

    monkeypatch.setattr(running, "issue_cards", issue_cards)
    desk.run(first)
    assert (desk.outcomes(first), desk.outcomes(second)) == ({2: "joined"}, {2: "created"})
    assert len(desk.ask("SELECT FROM card_registrations")) == 1
    assert desk.clean()


def test_once_the_merger_is_undone_the_import_can_be(desk: Desk) -> None:
    """The card has its own account again, with what came onto it."""
    desk.run(desk.check(SISTERS))
    found = desk.run(desk.check("card;phone;name;points;turnover\n1003;+79000000001;Анна;0;1500\n"))
    with desk.database.write_tx() as session:
        anna, peter = pair(session)
        merger = merging.merge(
            session,
            session.get_one(Person, peter.person_id),
            session.get_one(Person, anna.person_id),
            reason="One person", actor=TILL, now=desk.now,
        )  # fmt: skip
    assert desk.outcomes(desk.undo(found)) == {2: "kept"}
    with desk.database.write_tx() as session:
        again = session.get_one(PersonMerge, merger.id)
        merging.undo(session, again, reason="One person", actor=TILL, now=desk.now)
    assert desk.outcomes(desk.undo(found)) == {2: "undone"}
    assert desk.ask("SELECT * FROM turnover WHERE amount <> 0") == []
    assert desk.ask("SELECT * FROM account_tiers WHERE tier = 'gold'") == []
    assert desk.clean()
