"""Messages leave once, come back when they must, and stop when they should."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
import structlog
from sqlmodel import select

from tests.factories import TILL, make_member
from tests.messaging.conftest import EMAIL, PHONE, Post
from tests.messaging.test_outbox import agree
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.messaging.outbox import Recipient
from walletsvc.messaging.protocol import GatewayError, Sent
from walletsvc.messaging.sending.claiming import claim
from walletsvc.messaging.sending.deciding import Try
from walletsvc.messaging.sending.rules import LEASE, MOST_TRIES
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


def test_a_passing_fault_is_tried_again(post: Post) -> None:
    post.gateway()
    post.sms.arm("503")
    id_ = post.write()
    post.sender.drain()
    message = post.message(id_)
    assert (message.state, message.attempts) == (MessageState.QUEUED, 1)
    assert message.due_at is not None
    assert message.due_at > post.now
    post.later(minutes=1)
    post.sender.drain()
    assert len(post.texts()) == 1
    assert [entry["came"] for entry in post.message(id_).history] == ["later", "sent"]


def test_another_gateway_steps_in(post: Post) -> None:
    first = post.gateway("smsc", position=1)
    second = post.gateway("smsru", position=2)
    post.sms.arm("503", gateway="smsc", count=9)
    id_ = post.write()
    post.sender.drain()
    post.later(minutes=1)
    post.sender.drain()
    assert [entry["gateway"] for entry in post.message(id_).history] == [first, second]
    assert len(post.texts()) == 1


def test_what_one_gateway_refuses_another_is_asked_at_once(post: Post) -> None:
    post.gateway("smsc", position=1)
    post.gateway("smsru", position=2)
    post.sms.arm("refused", gateway="smsc")
    id_ = post.write()
    post.sender.drain()
    assert post.message(id_).state is MessageState.SENT
    assert len(post.texts()) == 1


def test_what_nobody_takes_fails_and_costs_nothing(post: Post) -> None:
    post.gateway()
    post.sms.arm("refused", count=9)
    id_ = post.write()
    post.sender.drain()
    message = post.message(id_)
    assert (message.state, message.price, message.body) == (MessageState.FAILED, 0, None)
    assert "forbids" in message.error


def test_tries_end(post: Post) -> None:
    post.gateway()
    post.sms.arm("503", count=99)
    id_ = post.write(MessageKind.TERMS)
    for _ in range(MOST_TRIES * 4):
        post.sender.drain()
        post.later(minutes=20)
    message = post.message(id_)
    assert message.state is MessageState.FAILED
    assert len(message.history) == MOST_TRIES


def test_a_wrong_key_stops_the_gateway_and_says_so_once(post: Post) -> None:
    id_ = post.gateway(values={"password": "wrong"})
    first, second = post.write(), post.write()
    with structlog.testing.capture_logs() as logs:
        post.sender.drain()
        post.later(seconds=40)
        post.sender.drain()
    stopped = [entry for entry in logs if entry["log_level"] == "error"]
    assert len(stopped) == 1
    assert "does not accept the log-in" in stopped[0]["reason"]
    gateway = post.stands(id_)
    assert gateway.stopped_reason
    assert gateway.retry_at is not None
    # Messages wait for it, without having used up a try.
    assert {post.message(each).state for each in (first, second)} == {MessageState.QUEUED}
    assert post.message(first).attempts == 0


def test_a_stopped_gateway_goes_on_by_itself(post: Post) -> None:
    id_ = post.gateway()
    post.sms.arm("no_money")
    post.write()
    post.sender.drain()
    assert post.stands(id_).stopped_reason
    post.later(seconds=31)
    post.sender.drain()
    assert len(post.texts()) == 1
    assert not post.stands(id_).stopped_reason


def test_no_answer_is_asked_about_and_never_sent_twice(post: Post) -> None:
    post.gateway("smsc")
    post.sms.arm("cut_after", count=1)
    id_ = post.write()
    post.sender.drain()
    assert post.message(id_).state is MessageState.QUEUED
    post.later(seconds=20)
    post.sender.drain()
    assert post.message(id_).state is MessageState.SENT
    assert len(post.texts()) == 1


def test_no_answer_where_nobody_can_be_asked_is_repeated_once(post: Post) -> None:
    """SMS Aero knows no id of ours: twice at the most, and then it is left at that."""
    post.gateway("smsaero")
    post.gateway("smsru", position=1)
    post.sms.arm("cut_after", count=99, gateway="smsaero")
    id_ = post.write()
    for _ in range(20):
        post.sender.drain()
        post.later(minutes=1)
    message = post.message(id_)
    assert message.state is MessageState.SENT
    assert [entry["came"] for entry in message.history] == ["unknown", "unknown"]
    assert len(post.texts()) == 2
    assert message.body is None


@pytest.mark.parametrize(("kind", "most"), [("smsaero", 2), ("smsc", 1), ("smsru", 1)])
def test_senders_that_die_after_sending(post: Post, kind: str, most: int) -> None:
    """The worker is killed between sending and noting, again and again."""
    post.gateway(kind)
    id_ = post.write()

    class Killed(BaseException):
        pass

    class Mortal(MessageSender):
        def _hand_over(self, todo: object) -> None:
            assert isinstance(todo, Try)
            with suppress(GatewayError):
                todo.adapter.send(todo.outgoing)
            raise Killed

    post.sms.desk.clock = lambda: post.now
    for _ in range(2):
        with pytest.raises(Killed):
            Mortal(post.database, lambda: post.now, "").send_one()
        post.later(seconds=LEASE.total_seconds())
    for _ in range(5):
        post.sender.drain()
        post.later(minutes=1)
    assert len(post.texts()) == most
    assert post.message(id_).state in (MessageState.SENT, MessageState.DELIVERED)


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


def test_a_link_goes_by_mail_when_the_sms_is_not_delivered(post: Post) -> None:
    post.gateway("smsc")
    post.gateway("smtp")
    post.sms.arm("undelivered")
    id_ = post.write(MessageKind.CARD_LINK)
    post.sender.drain()
    assert post.texts("email") == []
    post.later(minutes=2)
    post.sender.drain()
    assert len(post.texts("email")) == 1
    message = post.message(id_)
    assert (message.state, message.step, message.spent) == (MessageState.SENT, 1, 350)
    assert post.sms.log()[-1]["to"] == EMAIL


def test_a_link_goes_by_mail_when_no_news_come_in_time(post: Post) -> None:
    post.gateway("smsc")
    post.gateway("smtp")
    post.sms.arm("silent")
    post.write(MessageKind.CARD_LINK)
    for _ in range(9):
        post.sender.drain()
        post.later(minutes=1)
    assert post.texts("email") == []
    post.later(minutes=2)
    post.sender.drain()
    assert len(post.texts("email")) == 1


def test_a_code_waits_for_nothing_and_is_not_repeated(post: Post) -> None:
    """What comes late is better than what comes twice, and by mail it would prove nothing."""
    post.gateway("smsc")
    post.gateway("smtp")
    post.sms.arm("silent")
    id_ = post.write()
    for _ in range(60):
        post.sender.drain()
        post.later(minutes=60)
    message = post.message(id_)
    assert (message.state, message.due_at) == (MessageState.SENT, None)
    assert post.texts("email") == []


def test_mail_goes_when_the_sms_gateways_are_out_of_use(post: Post) -> None:
    post.gateway("smsc", values={"password": "wrong"})
    post.gateway("smtp")
    id_ = post.write(MessageKind.CARD_LINK)
    post.sender.drain()
    assert len(post.texts("email")) == 1
    assert post.message(id_).channels[post.message(id_).step] == "email"


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


def test_a_message_that_makes_us_fail_keeps_no_others(post: Post) -> None:
    post.gateway()
    broken = post.write()
    with post.database.write_tx() as session:
        session.get_one(Message, broken).body = "not JSON"
    post.later(seconds=1)
    good = post.write()
    post.sender.drain()
    assert post.message(good).state is MessageState.SENT
    assert post.message(broken).state is MessageState.QUEUED


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
    post.gateway()
    id_ = post.write()
    stop, wake = threading.Event(), threading.Event()
    sender = MessageSender(post.database, lambda: post.now, "", stop=stop)
    running = threading.Thread(target=sender.run, args=(wake.wait, 0.05))
    running.start()
    for _ in range(200):
        if post.message(id_).state is MessageState.SENT:
            break
        stop.wait(0.02)
    stop.set()
    wake.set()
    running.join(10)
    assert not running.is_alive()
    assert post.message(id_).state is MessageState.SENT


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
