"""What goes wrong at a gateway, and what comes of the message."""

from __future__ import annotations

from contextlib import suppress

import pytest
import structlog

from tests.messaging.conftest import Post
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.messaging.protocol import GatewayError
from walletsvc.messaging.sending.deciding import Try
from walletsvc.messaging.sending.rules import LEASE, MOST_TRIES
from walletsvc.messaging.sending.sender import MessageSender


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
