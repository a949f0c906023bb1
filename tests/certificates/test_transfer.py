"""Handing a certificate on: all of its money, none of its code."""

from __future__ import annotations

import pytest

from tests.certificates.shop import Gifts
from tests.factories import TILL
from walletsvc.certificates import service
from walletsvc.certificates.lookup import look_up
from walletsvc.certificates.models import EventKind
from walletsvc.certificates.queries import kin, parts
from walletsvc.core.errors import CertificateExpired, Refused
from walletsvc.ledger.models import SystemCode


def test_another_person_gets_all_that_is_left(gifts: Gifts) -> None:
    """A new code, link and pass; the old code is dead, the old pass voided; both histories stay."""
    issued = gifts.issue(5_000, recipient_name="Марина", expires_at=gifts.later(days=9))
    old = issued.certificate
    held = gifts.hold_pass(old)
    gifts.redeem(old, 2_000)
    made = gifts.transfer(old, recipient_name="Света", language="en")
    new = made.certificate
    assert (new.face_value, new.recipient_name, new.language) == (3_000, "Света", "en")
    assert (new.expires_at, new.branch_id, new.origin) == (
        old.expires_at,
        old.branch_id,
        old.origin,
    )
    assert made.code != issued.code
    assert new.link_token != old.link_token
    assert (gifts.balance(old), gifts.balance(new)) == (0, 3_000)
    gifts.publish()
    assert gifts.shown(held) == (0, True)
    new_held = gifts.hold_pass(new)
    gifts.redeem(new, 1)
    gifts.publish()
    assert gifts.shown(new_held) == (2_999, False)
    with gifts.database.read_tx() as session:
        assert look_up(session, made.code, gifts.issuer.id) is not None
        assert kin(session, old) == (None, new.public_id)
        assert kin(session, new) == (old.public_id, None)
        assert [(part.kind, part.amount) for part in parts(session, old)] == [
            ("issued", 5_000),
            ("redeemed", -2_000),
            ("transferred_out", -3_000),
        ]
        assert [(part.kind, part.amount) for part in parts(session, new)] == [
            ("transferred_in", 3_000),
            ("redeemed", -1),
        ]
    assert gifts.events(old) == [EventKind.TRANSFERRED]
    assert gifts.clean()


def test_the_old_code_buys_nothing(gifts: Gifts) -> None:
    """Although its account stands for the new one: the till that looked it up before is told."""
    old = gifts.sold(5_000)
    new = gifts.transfer(old).certificate
    for attempt in (
        lambda: gifts.redeem(old, 1),
        lambda: gifts.top_up(old, 1),
        lambda: gifts.pay_out(old),
        lambda: gifts.block(old),
        lambda: gifts.transfer(old),
    ):
        with pytest.raises(Refused):
            attempt()
    assert gifts.balance(new) == 5_000


def test_a_refund_of_the_past_goes_to_the_new_holder(gifts: Gifts) -> None:
    """By the old id or the new one; after two transfers still."""
    first = gifts.sold(5_000)
    paid = gifts.redeem(first, 2_000)
    second = gifts.transfer(first).certificate
    third = gifts.transfer(second).certificate
    held = gifts.hold_pass(third)
    gifts.refund(first, paid, amount=500)
    gifts.refund(third, paid, amount=500)
    assert [gifts.balance(gift) for gift in (first, second, third)] == [0, 0, 4_000]
    gifts.publish()
    assert gifts.shown(held) == (4_000, False)
    assert gifts.system(SystemCode.REDEMPTION) == 1_000
    assert gifts.clean()


def test_a_blocked_one_is_replaced(gifts: Gifts) -> None:
    """A lost code: blocked at once, then handed over to its owner under a new one."""
    old = gifts.sold(5_000)
    gifts.block(old)
    new = gifts.transfer(old).certificate
    gifts.redeem(new, 5_000)
    with pytest.raises(Refused):
        gifts.unblock(old)


def test_what_cannot_be_handed_on(gifts: Gifts) -> None:
    """Nothing, and what has ended: that is paid out."""
    empty = gifts.sold(5_000)
    gifts.redeem(empty, 5_000)
    with pytest.raises(Refused, match="nothing left"):
        gifts.transfer(empty)
    ended = gifts.sold(5_000, expires_at=gifts.later(days=1))
    with pytest.raises(CertificateExpired):
        gifts.transfer(ended, now=gifts.later(days=1))
    assert gifts.balance(ended) == 5_000


def test_an_old_payout_that_is_undone_opens_nothing_that_was_transferred(gifts: Gifts) -> None:
    """The value is the successor's, and the old code stays dead."""
    old = gifts.sold(100)
    taken = gifts.redeem(old, 40)
    gifts.pay_out(old)
    gifts.refund(old, taken)
    gifts.pay_out(old)
    with gifts.database.write_tx() as session:
        service.undo_payout(session, old, actor=TILL, reason="x", now=gifts.now)
    new = gifts.transfer(old).certificate
    with gifts.database.write_tx() as session:
        service.undo_payout(session, old, actor=TILL, reason="x", now=gifts.now)
    assert (gifts.balance(old), gifts.balance(new)) == (0, 100)
    with gifts.database.write_tx() as session, pytest.raises(Refused, match="Nothing was paid"):
        service.undo_payout(session, old, actor=TILL, reason="x", now=gifts.now)
    with pytest.raises(Refused):
        gifts.redeem(old, 1)
    assert gifts.clean()
