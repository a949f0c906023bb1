"""States and passes: a phone shows what a certificate is worth and whether it is good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.certificates.shop import Gifts
from walletsvc.certificates.models import Certificate, EventKind
from walletsvc.certificates.tasks import expire


def test_the_pass_follows_the_balance(gifts: Gifts) -> None:
    """Redeem, refund, top up."""
    gift = gifts.sold(5_000)
    held = gifts.hold_pass(gift)
    paid = gifts.redeem(gift, 2_000)
    gifts.publish()
    assert gifts.shown(held) == (3_000, False)
    gifts.refund(gift, paid)
    gifts.top_up(gift, 100)
    gifts.publish()
    assert gifts.shown(held) == (5_100, False)


@pytest.mark.parametrize(
    "stop",
    [
        lambda gifts, gift: gifts.block(gift),
        lambda gifts, gift: gifts.pay_out(gift),
        lambda gifts, gift: expire(gifts.database, gifts.later(days=1)),
    ],
    ids=["blocked", "paid out", "expired"],
)
def test_the_pass_is_voided(gifts: Gifts, stop: Callable[[Gifts, Certificate], object]) -> None:
    """By the change itself: nothing else tells the publisher."""
    gift = gifts.sold(5_000, expires_at=gifts.later(days=1))
    held = gifts.hold_pass(gift)
    assert gifts.shown(held) == (5_000, False)
    stop(gifts, gift)
    gifts.publish()
    assert gifts.shown(held)[1]


def test_unblocking_brings_the_pass_back(gifts: Gifts) -> None:
    """It is not voided any more."""
    gift = gifts.sold(5_000)
    held = gifts.hold_pass(gift)
    gifts.block(gift)
    gifts.publish()
    gifts.unblock(gift)
    gifts.publish()
    assert gifts.shown(held) == (5_000, False)


def test_the_end_is_noted_once_and_writes_nothing_off(gifts: Gifts) -> None:
    """In pieces, also those that were blocked; closed ones are over already."""
    ended = [gifts.sold(expires_at=gifts.later(days=1)) for _ in range(3)]
    gifts.block(ended[0])
    gifts.pay_out(ended[1])
    open_ = gifts.sold(expires_at=gifts.later(days=2))
    assert expire(gifts.database, gifts.later(days=1, microseconds=-1)) == 0
    assert expire(gifts.database, gifts.later(days=1)) == 2
    assert expire(gifts.database, gifts.later(days=1)) == 0
    assert gifts.events(ended[2]) == [EventKind.EXPIRED]
    assert gifts.read(open_).expired_at is None
    assert [gifts.balance(gift) for gift in ended] == [100_000, 0, 100_000]


def test_more_than_a_piece_expires(gifts: Gifts) -> None:
    """All of them, whatever the size of a piece."""
    gifts.sold(expires_at=gifts.later(days=1))
    with gifts.database.engine.begin() as connection:
        connection.execute(
            text("""
INSERT INTO accounts (public_id, organisation_id, unit_id, kind, balance, held, min_balance,
                      created_at)
SELECT 'a' || n, organisation_id, unit_id, kind, 0, 0, 0, created_at
  FROM accounts, generate_series(1, 1100) AS n WHERE kind = 'certificate'
""")
        )
        connection.execute(
            text("""
INSERT INTO certificates (public_id, programme_id, account_id, code, code_hash, origin, face_value,
       recipient_name, language, link_token, link_hash, issued_at, expires_at, block_reason)
SELECT a.public_id, c.programme_id, a.id, c.code, a.public_id::bytea, c.origin, 1, '', 'ru',
       c.link_token, a.public_id::bytea, c.issued_at, c.expires_at, ''
  FROM certificates c, accounts a WHERE a.public_id LIKE 'a%' AND a.kind = 'certificate'
   AND a.id <> c.account_id
""")
        )
    assert expire(gifts.database, gifts.now + timedelta(days=2)) == gifts.scalar(
        "SELECT count(*) FROM certificates"
    )
    assert gifts.scalar("SELECT count(*) FROM changes WHERE topic = 'certificate'") > 1000
