"""Proving a phone without a code: by ringing, by a messenger's contact."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.messaging.proving.conftest import PHONE, Desk
from walletsvc.jobs.events import CallReceived, emit
from walletsvc.messaging.proving import service, tasks, ways
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Outcome

NUMBER = "+78005550000"


def ring(desk: Desk, phone: str = PHONE, external_id: str = "", **later: float) -> None:
    """What the job that reads webhooks emits."""
    event = CallReceived(
        desk.now + timedelta(**later), desk.shop.organisation.id, phone, external_id
    )
    with desk.database.write_tx() as session:
        emit(session, event)


def named(desk: Desk, proof: str, external_id: str) -> None:
    with desk.database.write_tx() as session:
        ways.ring_to(
            session,
            proof,
            call_to=NUMBER,
            external_id=external_id,
            expires_at=desk.later(minutes=5),
        )


def test_the_call_of_the_phone_proves_it(desk: Desk) -> None:
    """No SMS; the number to ring shows once the gateway named it."""
    started = desk.start(route=Route.CALL)
    assert (started.route, started.call_to) == (Route.CALL, None)
    assert desk.sms() == []
    named(desk, started.proof, "c-1")
    with desk.database.read_tx() as session:
        shown = service.shown(session, started.proof, subject="form:1")
    assert (shown.call_to, shown.expires_at) == (NUMBER, desk.later(minutes=5))
    assert desk.status(started.proof).outcome is Outcome.WAITING
    ring(desk, external_id="c-1", minutes=1)
    assert desk.status(started.proof).outcome is Outcome.PROVEN
    assert desk.use(started.proof).proven_at == desk.later(minutes=1)
    ring(desk, external_id="c-1", minutes=2)
    assert desk.status(started.proof).outcome is Outcome.USED


@pytest.mark.parametrize(
    ("phone", "external_id", "minutes"),
    [("+79000009999", "c-1", 1), (PHONE, "", 5), (PHONE, "", -1), ("", "c-2", 1), ("", "", 1)],
)
def test_other_calls_prove_nothing(
    desk: Desk, phone: str, external_id: str, minutes: float
) -> None:
    """Another phone, too late, before it was asked, another's id, nothing at all."""
    started = desk.start(route=Route.CALL)
    named(desk, started.proof, "c-1")
    ring(desk, phone, external_id, minutes=minutes)
    assert desk.status(started.proof).outcome is Outcome.WAITING


def test_a_gateway_that_tells_the_id_alone(desk: Desk) -> None:
    started = desk.start(route=Route.CALL)
    named(desk, started.proof, "c-1")
    ring(desk, "", "c-1")
    assert desk.status(started.proof).outcome is Outcome.PROVEN


def test_a_stranger_who_waits_for_my_call(desk: Desk) -> None:
    """Two ask about one phone: a call without an id proves for neither, with one for its own."""
    mine = desk.start(route=Route.CALL).proof
    theirs = desk.start(route=Route.CALL, subject="form:2").proof
    named(desk, mine, "c-1")
    named(desk, theirs, "c-2")
    ring(desk)
    assert desk.status(mine).outcome is Outcome.WAITING
    assert desk.status(theirs, "form:2").outcome is Outcome.WAITING
    ring(desk, external_id="c-1")
    assert desk.status(mine).outcome is Outcome.PROVEN
    assert desk.status(theirs, "form:2").outcome is Outcome.WAITING


@pytest.mark.parametrize("external_id", ["", "c-1"])
def test_a_stranger_with_the_same_id_waits_for_my_call(desk: Desk, external_id: str) -> None:
    """A gateway that has one id for a phone, or none: nobody is proven rather than the wrong one,
    also while the stranger's alone is known to wait there."""
    mine = desk.start(route=Route.CALL).proof
    theirs = desk.start(route=Route.CALL, subject="form:2").proof
    named(desk, theirs, external_id)
    if not external_id:
        ring(desk)
    named(desk, mine, external_id)
    ring(desk, external_id=external_id)
    assert desk.status(mine).outcome is Outcome.WAITING
    assert desk.status(theirs, "form:2").outcome is Outcome.WAITING


def test_asked_again_the_newest_counts(desk: Desk) -> None:
    desk.start(route=Route.CALL)
    again = desk.start(route=Route.CALL, now=desk.later(minutes=2)).proof
    ring(desk, minutes=3)
    assert desk.status(again, now=desk.later(minutes=3)).outcome is Outcome.PROVEN


def test_a_code_does_not_prove_what_waits_for_a_call(desk: Desk) -> None:
    proof = desk.start(route=Route.CALL).proof
    checked = desk.check(proof, "000000")
    assert (checked.outcome, checked.tries_left) == (Outcome.WAITING, 5)


def test_a_call_of_another_organisation(desk: Desk) -> None:
    proof = desk.start(route=Route.CALL).proof
    for whose, outcome in ((desk.shop.organisation.id + 1, "waiting"), (None, "proven")):
        with desk.database.write_tx() as session:
            ways.call_received(session, CallReceived(desk.now, whose, PHONE, ""))
        assert desk.status(proof).outcome == outcome


def share(desk: Desk, token: str, phone: str = PHONE) -> bool:
    with desk.database.write_tx() as session:
        return ways.contact_shared(
            session,
            organisation_id=desk.shop.organisation.id,
            token=token,
            phone=phone,
            now=desk.now,
        )


def test_a_contact_shared_with_the_bot(desk: Desk) -> None:
    """The token is of the link that the page showed, the phone of the messenger."""
    started = desk.start(route=Route.MESSENGER)
    assert started.token is not None
    assert not share(desk, "x" * 32)
    assert not share(desk, "")
    assert not share(desk, started.token, "+79000009999")
    assert desk.status(started.proof).outcome is Outcome.WAITING
    assert share(desk, started.token)
    assert desk.status(started.proof).outcome is Outcome.PROVEN
    assert not share(desk, started.token)
    desk.use(started.proof)


def test_no_second_call_is_awaited_within_the_pause(desk: Desk) -> None:
    """Also when the gateway waits for less than a code lasts."""
    started = desk.start(route=Route.CALL)
    named(desk, started.proof, "c-1")
    again = desk.start(route=Route.CALL, now=desk.later(seconds=59))
    assert (again.proof, again.resend_at) == (started.proof, desk.later(seconds=60))
    assert desk.start(route=Route.CALL, now=again.resend_at).proof != started.proof


def jobs(desk: Desk) -> list[tuple[str, str]]:
    with desk.database.read_tx() as session:
        found = session.execute(text("SELECT task_name, args->>'proof' FROM procrastinate_jobs"))
        return [(row[0], row[1]) for row in found]


def test_a_job_asks_for_the_number(desk: Desk) -> None:
    """In the transaction of the proof; with a gateway that knows nothing, the proof ends."""
    started = desk.start(route=Route.CALL)
    assert jobs(desk) == [("proofs:await_call", started.proof)]
    tasks.find_number(desk.database, started.proof, desk.now)
    assert desk.status(started.proof).outcome is Outcome.EXPIRED
    tasks.find_number(desk.database, "0" * 20, desk.now)


def test_the_number_is_asked_for_once(desk: Desk) -> None:
    """A job that runs again finds it known."""
    started = desk.start(route=Route.CALL)
    named(desk, started.proof, "c-1")
    tasks.find_number(desk.database, started.proof, desk.now)
    assert desk.status(started.proof).outcome is Outcome.WAITING
