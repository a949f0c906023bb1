"""A message that goes by mail when the SMS does not arrive."""

from __future__ import annotations

from tests.messaging.conftest import EMAIL, Post
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import MessageState


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
