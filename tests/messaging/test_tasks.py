"""Messages of every kind, and how long they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import select

from tests.factories import make_member
from tests.messaging.conftest import Post
from walletsvc.jobs.changes import Lane
from walletsvc.messaging import restored, service, tasks
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.messaging.sending.claiming import claim
from walletsvc.messaging.sending.deciding import Try


def test_a_message_kind_of_every_sort_can_be_written(post: Post) -> None:
    """Every kind has words for what it is given."""
    post.gateway("smsc")
    post.gateway("smtp")
    for kind in MessageKind:
        if kind is not MessageKind.NEWS:
            post.write(
                kind, name="A", programme="P", branch="B", balances="1", time="9:00", consent="Да?"
            )
    assert post.sender.drain() > 0


def test_old_messages_are_forgotten(post: Post, now: datetime) -> None:
    post.gateway("smsc")
    id_ = post.write(MessageKind.TERMS)
    post.sender.drain()
    post.later(minutes=2)
    post.sender.drain()
    assert post.message(id_).body is not None
    tasks.forget(post.database, now + timedelta(days=31))
    assert post.message(id_).body is None
    tasks.forget(post.database, now + timedelta(days=401))
    with post.database.read_tx() as session:
        assert session.exec(select(Message)).all() == []


def test_an_erased_person_is_in_no_message(post: Post) -> None:
    """What was on its way is not sent any more, and a sender that has it changes nothing."""
    post.gateway("smsc")
    with post.database.write_tx() as session:
        card, _ = make_member(session, post.shop, post.now)
    sent = post.write(person_id=card.person_id)
    post.sender.drain()
    waiting = post.write(MessageKind.TERMS, person_id=card.person_id)
    with post.database.write_tx() as session:
        message = claim(session, list(Lane), post.now)
        assert message is not None
        under_way = post.sender._decider.decide(session, message, post.now)
    with post.database.write_tx() as session:
        assert service.forget_person(session, card.person_id, post.now) == 2
    assert isinstance(under_way, Try)
    post.sender._hand_over(under_way)
    post.later(days=1)
    post.sender.drain()
    assert post.message(waiting).state is MessageState.REFUSED
    assert post.message(sent).state is MessageState.SENT
    assert {post.message(each).recipient for each in (sent, waiting)} == {"{}"}


def test_a_restored_backup_sends_nothing(post: Post) -> None:
    """What was queued then was sent since."""
    post.gateway("smsc")
    queued = post.write()
    with post.database.write_tx() as session:
        assert restored.after_restore(session, post.now) == 1
    post.sender.drain()
    assert post.texts() == []
    assert post.message(queued).state is MessageState.EXPIRED
    assert post.message(queued).body is None
