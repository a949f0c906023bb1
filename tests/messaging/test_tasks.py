"""Messages of every kind, and how long they are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import select

from tests.messaging.conftest import Post
from walletsvc.messaging import restored, tasks
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState


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
