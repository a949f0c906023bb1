"""Taking a certificate's money, giving it back, paying out what is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.certificates.shop import Gifts
from walletsvc.certificates.models import EventKind, Origin
from walletsvc.core.errors import (
    AlreadyReversed,
    CertificateBlocked,
    CertificateExpired,
    InputError,
    InsufficientFunds,
    NotAccepted,
    NotFound,
    Refused,
)
from walletsvc.ledger.models import SystemCode
from walletsvc.merchants.acceptance import stop_accepting


def test_a_part_of_the_bill_is_paid_and_the_rest_stays(gifts: Gifts) -> None:
    """Any branch of the issuer; what is owed falls by exactly that."""
    gift = gifts.sold(300_000)
    gifts.redeem(gift, 84_050, branch_id=gifts.branch.id)
    assert gifts.balance(gift) == 215_950
    assert gifts.system(SystemCode.REDEMPTION) == 84_050
    assert gifts.system(SystemCode.CASH_CLEARING) == -300_000
    assert gifts.clean()


def test_a_spent_certificate_is_not_money(gifts: Gifts) -> None:
    """Named bug: the zero-balance card reused."""
    gift = gifts.sold(1_000)
    gifts.redeem(gift, 1_000)
    with pytest.raises(InsufficientFunds) as caught:
        gifts.redeem(gift, 1)
    assert caught.value.data["available"] == 0
    assert gifts.balance(gift) == 0


def test_two_certificates_pay_one_bill_and_each_keeps_its_rest(gifts: Gifts) -> None:
    """Named bug: two cards drained to zero though the bill was smaller than both."""
    first, second = gifts.sold(5_000), gifts.sold(5_000)
    gifts.redeem(first, 5_000)
    gifts.redeem(second, 1_500)
    assert (gifts.balance(first), gifts.balance(second)) == (0, 3_500)


def test_a_refund_gives_back_once(gifts: Gifts) -> None:
    """Named bug: the refund deducts again instead of giving back; or gives back twice."""
    gift = gifts.sold(5_000)
    paid = gifts.redeem(gift, 3_000)
    gifts.refund(gift, paid, amount=1_000)
    assert gifts.balance(gift) == 3_000
    with pytest.raises(Refused) as caught:
        gifts.refund(gift, paid, amount=2_001)
    assert caught.value.data["reversible"] == 2_000
    gifts.refund(gift, paid)
    assert gifts.balance(gift) == 5_000
    with pytest.raises(AlreadyReversed):
        gifts.refund(gift, paid)
    assert gifts.system(SystemCode.REDEMPTION) == 0
    assert gifts.clean()


@pytest.mark.parametrize("became", ["blocked", "expired", "paid out"])
def test_a_refund_comes_back_whatever_became_of_the_certificate(gifts: Gifts, became: str) -> None:
    """The value goes back, the state stays."""
    gift = gifts.sold(5_000, expires_at=gifts.later(days=1))
    paid = gifts.redeem(gift, 3_000)
    match became:
        case "blocked":
            gifts.block(gift)
        case "paid out":
            gifts.pay_out(gift)
    before = gifts.read(gift)
    gifts.refund(gift, paid, now=gifts.later(days=2))
    after = gifts.read(gift)
    assert (after.blocked_at, after.closed_at) == (before.blocked_at, before.closed_at)
    assert gifts.balance(gift) == (3_000 if became == "paid out" else 5_000)
    if became == "paid out":
        with pytest.raises(Refused):
            gifts.redeem(gift, 1)
        gifts.pay_out(gift)
        assert gifts.balance(gift) == 0
    assert gifts.clean()


def test_only_redemptions_of_this_certificate_are_refunded(gifts: Gifts) -> None:
    """Not a sale, not a payout, not another's; and only by who took it."""
    gift, other = gifts.sold(5_000), gifts.sold(5_000)
    paid = gifts.redeem(gift, 1_000, acceptor_id=gifts.partner.id)
    sale = gifts.top_up(gift, 100)
    out = gifts.pay_out(gift)
    for wrong in (sale, out):
        with pytest.raises(NotFound):
            gifts.refund(gift, wrong)
    with pytest.raises(NotFound):
        gifts.refund(other, paid)
    with pytest.raises(NotFound):
        gifts.refund(gift, paid, organisation_id=gifts.stranger.id)
    with pytest.raises(Refused, match="only it can"):  # the issuer, which owes for it
        gifts.refund(gift, paid)
    with gifts.database.write_tx() as session:
        stop_accepting(session, gifts.issuer, gifts.partner)
    gifts.refund(gift, paid, organisation_id=gifts.partner.id)
    assert gifts.system(SystemCode.INTER_ORGANISATION) == 0


def test_what_a_partner_takes_is_owed_to_it(gifts: Gifts) -> None:
    """Both sides of the pair, and each organisation's own entries sum to zero."""
    gift = gifts.sold(5_000)
    gifts.redeem(gift, 2_000, acceptor_id=gifts.partner.id)
    assert gifts.system(SystemCode.INTER_ORGANISATION) == 2_000
    assert gifts.system(SystemCode.INTER_ORGANISATION, gifts.partner) == -2_000
    assert gifts.system(SystemCode.REDEMPTION, gifts.partner) == 2_000
    with pytest.raises(NotAccepted):
        gifts.redeem(gift, 1, acceptor_id=gifts.stranger.id)
    assert gifts.clean()


def test_a_branch_that_is_switched_off_takes_and_sells_nothing(gifts: Gifts) -> None:
    """It still gives back."""
    gift = gifts.sold(5_000)
    paid = gifts.redeem(gift, 1_000, branch_id=gifts.branch.id)
    gifts.switch(gifts.branch, active=False)
    for attempt in (
        lambda: gifts.redeem(gift, 1, branch_id=gifts.branch.id),
        lambda: gifts.top_up(gift, 1, branch_id=gifts.branch.id),
        lambda: gifts.issue(1),
    ):
        with pytest.raises(NotAccepted):
            attempt()
    gifts.refund(gift, paid, branch_id=gifts.branch.id)
    assert gifts.balance(gift) == 5_000


def test_spending_refuses_from_the_very_end_on(gifts: Gifts) -> None:
    """Whether the nightly job ran or not; the money stays owed and can be paid out."""
    gift = gifts.sold(5_000, expires_at=gifts.later(days=1))
    gifts.redeem(gift, 1_000, now=gifts.later(days=1, microseconds=-1))
    with pytest.raises(CertificateExpired):
        gifts.redeem(gift, 1_000, now=gifts.later(days=1))
    with pytest.raises(CertificateExpired):
        gifts.top_up(gift, 1_000, now=gifts.later(days=1))
    assert gifts.balance(gift) == 4_000
    gifts.pay_out(gift, now=gifts.later(days=400))
    assert gifts.balance(gift) == 0
    assert gifts.system(SystemCode.CASH_CLEARING) == -1_000
    assert gifts.read(gift).closed_at == gifts.later(days=400)
    assert gifts.events(gift) == [EventKind.PAID_OUT]
    assert gifts.clean()


def test_the_remainder_is_paid_out_once(gifts: Gifts) -> None:
    """Then it is closed for everything."""
    gift = gifts.sold(5_000)
    gifts.pay_out(gift)
    for attempt in (
        lambda: gifts.pay_out(gift),
        lambda: gifts.redeem(gift, 1),
        lambda: gifts.top_up(gift, 1),
        lambda: gifts.block(gift),
    ):
        with pytest.raises(Refused):
            attempt()
    assert gifts.system(SystemCode.CASH_CLEARING) == 0


def test_a_given_certificate_is_not_paid_out(gifts: Gifts) -> None:
    """Refused in words; what is put on it is given as well."""
    gift = gifts.sold(5_000, origin=Origin.FREE, reason="VIP")
    gifts.top_up(gift, 500)
    with pytest.raises(Refused, match="given, not bought"):
        gifts.pay_out(gift)
    with pytest.raises(InputError):
        gifts.top_up(gift, 500, reason=" ")
    assert gifts.balance(gift) == 5_500
    assert gifts.system(SystemCode.ISSUANCE) == -5_500
    assert gifts.system(SystemCode.CASH_CLEARING) == 0


def test_a_blocked_one_is_neither_spent_nor_paid_out(gifts: Gifts) -> None:
    """Its money is still owed; unblocked it is as before."""
    gift = gifts.sold(5_000)
    gifts.block(gift, reason="lost")
    gifts.block(gift, reason="again")
    assert gifts.read(gift).block_reason == "lost"
    attempts: list[Callable[[], object]] = [
        lambda: gifts.redeem(gift, 1),
        lambda: gifts.top_up(gift, 1),
        lambda: gifts.pay_out(gift),
    ]
    for attempt in attempts:
        with pytest.raises(CertificateBlocked):
            attempt()
    gifts.unblock(gift)
    gifts.unblock(gift)
    gifts.redeem(gift, 1)
    assert gifts.events(gift) == [EventKind.BLOCKED, EventKind.UNBLOCKED]


def test_what_is_reserved_is_not_paid_out(gifts: Gifts) -> None:
    """A till is about to take it."""
    gift = gifts.sold(5_000)
    with gifts.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE accounts SET held = 100 WHERE id = {gift.account_id}")
    with pytest.raises(Exception, match="reserved"):
        gifts.pay_out(gift)
    with pytest.raises(InsufficientFunds) as caught:
        gifts.redeem(gift, 5_000)
    assert caught.value.data["available"] == 4_900


@pytest.mark.parametrize("verb", ["block", "unblock", "pay_out", "transfer"])
def test_who_changes_a_certificate_says_why(gifts: Gifts, verb: str) -> None:
    """An empty reason names its field."""
    with pytest.raises(InputError) as caught:
        getattr(gifts, verb)(gifts.sold(), reason="  ")
    assert caught.value.fields[0].field == "reason"
