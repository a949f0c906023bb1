"""Codes of the moment at many tills at once: one code is taken once, one presentation used once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlmodel import col, select

from tests.concurrency.at_once import outcome, together
from tests.concurrency.interleave import checkpoints, interleave
from tests.sales.shop import TILL, Café, open_café
from walletsvc.app import event_handlers
from walletsvc.cards.codes import service
from walletsvc.cards.codes.models import CardSecret, Presentation, RollingCode
from walletsvc.cards.models import Card
from walletsvc.cards.service import issue_card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import PresenceRequired
from walletsvc.jobs import events
from walletsvc.ledger import service as ledger
from walletsvc.passes.code_policies import switch
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.sales import presence
from walletsvc.sales.sale import Caller
from walletsvc.sales.scanning import scan
from walletsvc.storage.engine import Database

TILLS = 16


@pytest.fixture
def crowd(database_url: str, now: datetime) -> Iterator[Café]:
    """A café whose database serves sixteen tills at once."""
    database = Database(database_url, pool_size=TILLS, carried=events.carried(event_handlers()))
    yield open_café(database, now)
    database.close()


def ask(café: Café, policy: CodePolicy) -> None:
    """The café's programme has this policy from now on."""
    with café.database.write_tx() as session:
        switch(session, café.programme, policy, actor=TILL, now=café.now)


def code(café: Café, card: Card, policy: CodePolicy) -> str:
    """What the card shows: on an Apple pass of a programme with rolling codes, else on the page."""
    with café.database.write_tx() as session:
        if policy is CodePolicy.ROLLING:
            shown = RollingCode.card_id == card.id, col(RollingCode.taken_at).is_(None)
            return card.number + session.exec(select(RollingCode.code).where(*shown)).one()
        programme = session.get_one(Programme, card.programme_id)
        return service.current_code(session, card, programme, café.now).text


def till(café: Café, number: int) -> Caller:
    """One with a key of its own."""
    return Caller(café.cafe.id, café.branch.id, Actor("api-key", f"till-{number}"))


def read(café: Café, by: Caller, text: str) -> str:
    """Scan; the presentation, or the problem."""
    with café.database.write_tx() as session:
        found = scan(session, by, text, café.now)
        return found.presentation.public_id if found.presentation else found.problems[0]


@pytest.mark.parametrize("policy", [CodePolicy.ROLLING, CodePolicy.TIME_BASED])
def test_one_code_at_sixteen_tills(crowd: Café, policy: CodePolicy) -> None:
    """One gets it, fifteen are told that it is used."""
    ask(crowd, policy)
    text = code(crowd, crowd.card(), policy)
    found = together(TILLS, lambda number: read(crowd, till(crowd, number), text))
    assert Counter(found)["code_used"] == TILLS - 1
    with crowd.database.read_tx() as session:
        assert {session.exec(select(Presentation.public_id)).one(), "code_used"} == set(found)
        drawn = session.exec(select(RollingCode)).all()
    assert len(drawn) == (2 if policy is CodePolicy.ROLLING else 0)


@pytest.mark.parametrize("policy", [CodePolicy.ROLLING, CodePolicy.TIME_BASED])
def test_one_scan_from_sixteen_lines(crowd: Café, policy: CodePolicy) -> None:
    """A till whose network stutters gets one presentation, sixteen times."""
    ask(crowd, policy)
    text = code(crowd, crowd.card(), policy)
    found = set(together(TILLS, lambda _: read(crowd, crowd.caller(), text)))
    with crowd.database.read_tx() as session:
        assert {session.exec(select(Presentation.public_id)).one()} == found


def test_one_presentation_for_sixteen_sales(crowd: Café) -> None:
    """Half of them buy and half hold: one does, no deadlock, and the points are spent once."""
    ask(crowd, CodePolicy.TIME_BASED)
    card = crowd.card(1_000)
    shown = read(crowd, crowd.caller(), code(crowd, card, CodePolicy.TIME_BASED))

    def work(number: int) -> str:
        if number % 2:
            return outcome(lambda: hold(crowd, card, shown))
        return outcome(
            lambda: crowd.buy(card, 3_000, points=10, presentation=shown, name=str(number))
        )

    results = together(TILLS, work)
    assert Counter(results) == {"done": 1, PresenceRequired.code: TILLS - 1}
    assert crowd.available(card) in (990, 990 + 1)
    assert crowd.clean()


def hold(café: Café, card: Card, shown: str) -> None:
    """Reserve ten points, as the interface does it."""
    with café.database.write_tx() as session:
        found = presence.shown(
            session, café.caller(), card.id, CodePolicy.TIME_BASED, shown, None, café.now, café.now
        )
        ledger.hold(
            session, card.account_id, 10, acceptor_id=café.cafe.id, actor=TILL, reason="test",
            now=café.now, expires_at=café.now + timedelta(minutes=15), card_id=card.id,
        )  # fmt: skip
        presence.use_up(session, café.caller(), found, "hold", café.now)


@pytest.mark.parametrize("seed", range(12))
def test_scans_and_sales_in_any_order(crowd: Café, seed: int) -> None:
    """Two tills scan a rolling code and buy with what they got: one sale, whatever the order."""
    dice = random.Random(seed)
    ask(crowd, CodePolicy.ROLLING)
    card = crowd.card(1_000)
    text = code(crowd, card, CodePolicy.ROLLING)
    done: list[str] = []

    def work(number: int) -> None:
        shown = read(crowd, till(crowd, number), text)
        if not shown.startswith("code_"):
            done.append(
                outcome(
                    lambda: crowd.buy(
                        card, 3_000, points=10, presentation=shown, by=till(crowd, number)
                    )
                )
            )

    with checkpoints(crowd.database.engine):
        interleave(dice, [partial(work, number) for number in range(3)])
    assert done == ["done"]
    assert crowd.clean()


# With the last two, a scan that does not lock what it reads ends in two sales.
@pytest.mark.parametrize("seed", [*range(6), 40, 45])
def test_a_late_report_while_the_code_is_taken_anew(crowd: Café, seed: int) -> None:
    """One of the two sales with a code that was shown hours ago, whichever comes first."""
    dice = random.Random(seed)
    ask(crowd, CodePolicy.ROLLING)
    card = crowd.card(1_000)
    text = code(crowd, card, CodePolicy.ROLLING)
    at = crowd.now
    first = read(crowd, till(crowd, 0), text)
    crowd.now += timedelta(hours=3)
    done: list[str] = []

    def work(number: int) -> None:
        shown = first if number == 0 else read(crowd, till(crowd, number), text)
        if shown.startswith("code_"):
            return
        when = at if number == 0 else crowd.now
        by = till(crowd, number)
        done.append(
            outcome(lambda: crowd.buy(card, 3_000, points=10, presentation=shown, by=by, at=when))
        )

    with checkpoints(crowd.database.engine):
        interleave(dice, [partial(work, number) for number in range(2)])
    assert done.count("done") == 1
    assert crowd.clean()


def test_cards_that_are_issued_while_the_policy_changes(crowd: Café) -> None:
    """Each has a secret or is among those that the job still looks at."""

    def work(number: int) -> None:
        if number == TILLS // 2:
            ask(crowd, CodePolicy.ROLLING)
            return
        with crowd.database.write_tx() as session:
            person = find_or_create_person(
                session, organisation_id=crowd.cafe.id, phone=f"+7901{1_000_000 + number}",
                first_name="Гость", now=crowd.now,
            )  # fmt: skip
            programme = session.get_one(Programme, crowd.programme.id)
            issue_card(session, person=person, programme=programme, now=crowd.now)

    together(TILLS, work)
    with crowd.database.read_tx() as session:
        from walletsvc.jobs.bulk.models import BulkJob

        job = session.exec(select(BulkJob)).one()
        cards = session.exec(select(Card)).all()
        known = set(session.exec(select(CardSecret.card_id)))
    assert job.total == len(cards) - len(known)
