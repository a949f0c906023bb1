"""One answer per key: the first committed one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from time import monotonic

import pytest
from sqlalchemy import text

from walletsvc.core.errors import IdempotencyMismatch
from walletsvc.storage import idempotency
from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database
from walletsvc.storage.idempotency import Answer, fingerprint

DONE = Answer(201, '{"id": "ж1"}'.encode())
PRINT = fingerprint(b"POST", b"/certificates", b"{}")


def claim(database: Database, now: datetime, *, scope: str = "key-1", key: str = "a") -> bool:
    """Do the work under a key unless it is done; True when this call did it."""
    with database.write_tx() as session:
        known = idempotency.begin(session, scope, key, PRINT, now)
        if known:
            assert known == DONE
            return False
        idempotency.finish(session, scope, key, DONE)
        return True


def waits_for_a_lock(database: Database, deadline: float) -> bool:
    """Whether some backend of this database comes to wait for another before the deadline."""
    question = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while monotonic() < deadline:
        with database.engine.connect() as connection:
            if connection.execute(question).scalar_one():
                return True
    return False


def test_a_replay_gets_the_exact_answer(database: Database, now: datetime) -> None:
    """The same key and request return the stored status and bytes; the work is not repeated."""
    assert claim(database, now)
    assert not claim(database, now + timedelta(days=1))


def test_another_request_under_the_key_is_refused(database: Database, now: datetime) -> None:
    """A key means one request for ever; another one is a mismatch, whatever the first became."""
    claim(database, now)
    with pytest.raises(IdempotencyMismatch), database.write_tx() as session:
        idempotency.begin(session, "key-1", "a", fingerprint(b"another"), now)
    assert not claim(database, now)


def test_keys_of_different_scopes_do_not_meet(database: Database, now: datetime) -> None:
    """Two API keys may use the same Idempotency-Key for different things."""
    assert claim(database, now, scope="key-1")
    assert claim(database, now, scope="key-2")
    assert claim(database, now, scope="key-1", key="b")


def test_work_that_failed_leaves_the_key_free(database: Database, now: datetime) -> None:
    """Only committed answers are stored: after a rollback the retry does the work."""
    with pytest.raises(ZeroDivisionError), database.write_tx() as session:
        assert idempotency.begin(session, "key-1", "a", PRINT, now) is None
        raise ZeroDivisionError
    assert claim(database, now)


@pytest.mark.parametrize("first_commits", [True, False])
def test_a_second_request_waits_for_the_first(
    database: Database, now: datetime, first_commits: bool
) -> None:
    """Committed: the second gets its answer. Rolled back: the second does the work."""
    with ThreadPoolExecutor(1) as pool:
        with database.write_tx() as session:
            assert idempotency.begin(session, "key-1", "a", PRINT, now) is None
            second = pool.submit(claim, database, now)
            assert waits_for_a_lock(database, monotonic() + 20)
            assert not second.done()
            idempotency.finish(session, "key-1", "a", DONE)
            if not first_commits:
                session.rollback()
        assert second.result(timeout=20) is not first_commits
    assert not claim(database, now)


def test_old_keys_are_forgotten(database: Database, now: datetime) -> None:
    """What is older than the limit goes, the rest stays."""
    claim(database, now - timedelta(days=91), key="old")
    claim(database, now, key="new")
    with database.write_tx() as session:
        assert idempotency.forget_before(session, now - timedelta(days=90)) == 1
    assert claim(database, now, key="old")
    assert not claim(database, now, key="new")


def test_a_fingerprint_keeps_parts_apart() -> None:
    """Moving a byte from one part to the next is another request."""
    assert fingerprint(b"ab", b"c") != fingerprint(b"a", b"bc")
    assert fingerprint(b"ab", b"c") == fingerprint(b"ab", b"c")


def test_answers_stored_before_they_were_encrypted_still_count(
    database: Database, now: datetime
) -> None:
    """An upgrade must not turn a retry into a second payment."""
    with database.write_tx() as session:
        session.execute(
            text(
                "INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, created_at)"
                " VALUES ('key-1', 'a', :print, 201, :body, :now)"
            ),
            {"print": PRINT, "body": DONE.body, "now": now},
        )
    assert claim(database, now) is False


def test_answers_stored_before_they_were_compressed_still_count(
    database: Database, now: datetime
) -> None:
    """Those were encrypted as text."""
    sealed = b"\x01" + keyring().encrypt(DONE.body.decode()).encode()
    with database.write_tx() as session:
        session.execute(
            text(
                "INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, created_at)"
                " VALUES ('key-1', 'a', :print, 201, :body, :now)"
            ),
            {"print": PRINT, "body": sealed, "now": now},
        )
    assert claim(database, now) is False


@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)) * 3, "ж".encode() * 100_000])
def test_any_answer_comes_back_byte_for_byte(
    database: Database, now: datetime, body: bytes
) -> None:
    """However long, and whatever it begins with."""
    done = Answer(200, body)
    with database.write_tx() as session:
        assert idempotency.begin(session, "key-1", "a", PRINT, now) is None
        idempotency.finish(session, "key-1", "a", done)
    with database.write_tx() as session:
        assert idempotency.begin(session, "key-1", "a", PRINT, now) == done
