"""Messages leave once, come back when they must, and stop when they should."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import event
from sqlmodel import select

from tests.factories import TILL, make_member
from tests.messaging.conftest import PHONE, Post
from tests.messaging.making import agree
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.messaging.outbox import Recipient
from walletsvc.messaging.protocol import Sent
from walletsvc.messaging.sending.claiming import claim
from walletsvc.messaging.sending.deciding import Try
from walletsvc.messaging.sending.rules import LEASE
from walletsvc.messaging.sending.sender import MessageSender
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.people.phones import verify


def test_a_code_arrives_and_is_forgotten(post: Post) -> None:
    post.gateway()
    id_ = post.write(expires_in=timedelta(minutes=5))
    assert post.sender.drain() == 1
    assert [text.startswith("Код 123456") for text in post.texts()] == [True]
    message = post.message(id_)
    assert message.state is MessageState.SENT
    assert message.body is None
    assert message.price == 350  # what the gateway says, not our estimate of 300
    post.later(minutes=2)
    post.sender.drain()
    message = post.message(id_)
    assert message.state is MessageState.DELIVERED
    assert message.due_at is None


@pytest.mark.parametrize("kind", ["smsaero", "smsc", "smsru"])
def test_every_gateway_brings_it(post: Post, kind: str) -> None:
    post.gateway(kind)
    id_ = post.write()
    post.sender.drain()
    post.later(minutes=2)
    post.sender.drain()
    assert post.message(id_).state is MessageState.DELIVERED
    assert len(post.texts()) == 1


def test_an_expired_code_is_never_sent(post: Post) -> None:
    post.gateway()
    id_ = post.write(expires_in=timedelta(minutes=5))
    post.later(minutes=5)
    post.sender.drain()
    message = post.message(id_)
    assert (message.state, message.body, message.price) == (MessageState.EXPIRED, None, 0)
    assert post.texts() == []


def test_a_code_that_cannot_leave_expires(post: Post) -> None:
    post.gateway()
    post.sms.arm("503", count=99)
    id_ = post.write(expires_in=timedelta(seconds=30))
    for _ in range(10):
        post.sender.drain()
        post.later(seconds=10)
    assert post.message(id_).state is MessageState.EXPIRED
    post.sms.desk.armed.clear()
    post.later(hours=1)
    post.sender.drain()
    assert post.texts() == []


def test_nobody_takes_what_another_has(post: Post) -> None:
    post.gateway()
    post.write()
    with post.database.write_tx() as first, post.database.write_tx() as second:
        assert claim(first, list(Lane), post.now) is not None
        assert claim(second, list(Lane), post.now) is None


def test_many_senders_send_each_message_once(post: Post) -> None:
    post.gateway()
    for number in range(40):
        post.write(to=Recipient(f"+7900000{number:04}"))
    senders = [
        threading.Thread(target=MessageSender(post.database, lambda: post.now, "").drain)
        for _ in range(6)
    ]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    assert len({entry["to"] for entry in post.sms.log()}) == len(post.sms.log()) == 40


def test_a_late_sender_does_not_undo_what_came_after(post: Post) -> None:
    post.gateway()
    id_ = post.write()
    with post.database.write_tx() as session:
        message = claim(session, list(Lane), post.now)
        assert message is not None
        todo = post.sender._decider.decide(session, message, post.now)
    post.later(seconds=LEASE.total_seconds())
    post.sender.drain()  # another one took over
    sent = post.message(id_)
    assert isinstance(todo, Try)
    post.sender._hand_over(todo)
    assert post.message(id_).external_id == sent.external_id
    assert post.message(id_).history == sent.history


def test_a_consent_withdrawn_meanwhile_is_obeyed(post: Post) -> None:
    post.gateway()
    with post.database.write_tx() as session:
        card, _ = make_member(session, post.shop, post.now)
        agree(session, post.shop, card.person_id, ConsentChannel.SMS, post.now)
        verify(session, session.get_one(Person, card.person_id), PHONE, post.now)
    id_ = post.write(MessageKind.NEWS, person_id=card.person_id, to=Recipient(PHONE))
    with post.database.write_tx() as session:
        consent = session.exec(select(Consent)).one()
        consent.withdrawn_at, consent.withdrawn_way = post.now, Way.SMS
        consent.withdrawn_actor = "customer:x"
    post.sender.drain()
    assert post.message(id_).state is MessageState.REFUSED
    assert post.texts() == []


@pytest.mark.parametrize("ended", [Purpose.ADVERTISING, Purpose.DATA])
def test_a_withdrawal_between_two_tries_is_obeyed(post: Post, ended: Purpose) -> None:
    """Of either purpose: who takes their data back has no advertising. What a person is told of
    their own doings goes on."""
    post.gateway()
    with post.database.write_tx() as session:
        card, _ = make_member(session, post.shop, post.now)
        agree(session, post.shop, card.person_id, ConsentChannel.SMS, post.now)
        verify(session, session.get_one(Person, card.person_id), PHONE, post.now)
    news = post.write(MessageKind.NEWS, person_id=card.person_id, to=Recipient(PHONE))
    post.sms.arm("503")
    post.sender.drain()
    assert post.message(news).attempts == 1
    with post.database.write_tx() as session:
        person = session.get_one(Person, card.person_id)
        consents.withdraw(session, person, purpose=ended, way=Way.PAGE, actor=TILL, now=post.now)
    link = post.write(MessageKind.CARD_LINK, person_id=card.person_id, to=Recipient(PHONE))
    post.later(minutes=1)
    post.sender.drain()
    message = post.message(news)
    assert (message.state, message.error) == (
        MessageState.REFUSED, "There is no consent to advertising by sms any more.",
    )  # fmt: skip
    assert post.message(link).state is MessageState.SENT
    assert len(post.texts()) == 1


def test_a_campaign_does_not_hold_up_a_code(post: Post) -> None:
    post.gateway()
    for number in range(3):
        post.write(to=Recipient(f"+7900000{number:04}"))
    with post.database.write_tx() as session:
        for message in session.exec(select(Message)):
            message.lane = int(Lane.BULK)
    code = post.write()
    post.sender.send_one()
    assert post.message(code).state is MessageState.SENT


def test_what_happens_is_counted(post: Post) -> None:
    post.gateway()
    post.sms.arm("503")
    post.write()
    post.sender.drain()
    post.later(minutes=1)
    post.sender.drain()
    with post.database.read_tx() as session:
        found = counters.read(session)
    labels = {"kind": "code", "channel": "sms"}
    assert found[counters.series("messages", state="sent", **labels)] == 1
    assert found[counters.series("message_failures", gateway="smsc", fault="later")] == 1
    assert found[counters.series("message_cost", channel="sms", currency="RUB")] == 350


def test_no_log_names_a_phone_or_a_text(post: Post) -> None:
    post.gateway()
    post.sms.arm("503")
    post.sms.arm("refused")
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            post.write()
            post.sender.drain()
            post.later(minutes=1)
    assert logs
    assert "123456" not in str(logs)
    assert PHONE[1:] not in str(logs)


def test_the_running_sender_stops_when_told(post: Post) -> None:
    """Until then it also finds what nobody signalled."""
    post.gateway()
    stop, wake = threading.Event(), threading.Event()
    sender = MessageSender(post.database, lambda: post.now, "", stop=stop)
    running = threading.Thread(target=sender.run, args=(wake.wait, 0.05))
    running.start()
    try:
        for phone in (PHONE, "+79000001235"):
            id_ = post.write(to=Recipient(phone))
            for _ in range(200):
                if post.message(id_).state is MessageState.SENT:
                    break
                stop.wait(0.02)
            assert post.message(id_).state is MessageState.SENT
    finally:
        stop.set()
        wake.set()
        running.join(10)
    assert not running.is_alive()


def test_an_idle_sender_looks_once_at_a_time(post: Post) -> None:
    """Not with each of its threads: an installation is idle for most of its days."""
    stop, looks = threading.Event(), 0
    asked: list[str] = []

    def waited(_seconds: float) -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            stop.wait(0.5)  # the threads look when they begin
            asked.clear()
        if looks == 11:
            stop.set()
        return False

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        asked.append(sql)

    event.listen(post.database.engine, "before_cursor_execute", note)
    try:
        MessageSender(post.database, lambda: post.now, "", stop=stop).run(waited, 0)
    finally:
        event.remove(post.database.engine, "before_cursor_execute", note)
    assert len(asked) == 11


def test_an_adapter_is_given_what_it_needs(post: Post) -> None:
    """The address for its news, for those that take one with each message."""
    post.gateway("smsaero")
    post.write()
    sender = MessageSender(post.database, lambda: post.now, "https://cards.example.com")
    with post.database.write_tx() as session:
        message = claim(session, list(Lane), post.now)
        assert message is not None
        todo = sender._decider.decide(session, message, post.now)
    assert isinstance(todo, Try)
    assert todo.outgoing.status_url.startswith("https://cards.example.com/hooks/messages/")
    assert todo.outgoing.status_url.endswith("/status")
    assert isinstance(todo.adapter.send(todo.outgoing), Sent)
