"""The figures agree with the histories."""

from __future__ import annotations

from tests.certificates.shop import Gifts
from walletsvc.certificates import figures
from walletsvc.certificates.figures import BranchFigures
from walletsvc.certificates.models import Origin
from walletsvc.merchants.models import Organisation
from walletsvc.merchants.service import create_branch


def of(gifts: Gifts, owner: Organisation, **span: float) -> dict[str, BranchFigures]:
    """The figures of all time until a moment, by the branch's name."""
    with gifts.database.read_tx() as session:
        rows = figures.by_branch(
            session, owner.id, gifts.later(days=-1), gifts.later(**(span or {"days": 99}))
        )
    return {row.name: row for row in rows}


def test_sold_here_used_there(gifts: Gifts) -> None:
    """Each branch has what happened in it; what is owed belongs to who sold."""
    with gifts.database.write_tx() as session:
        second = create_branch(
            session, organisation_id=gifts.issuer.id, name="Садовая", now=gifts.now
        )
    first = gifts.sold(300_000)
    other = gifts.sold(200_000)
    free = gifts.sold(50_000, origin=Origin.FREE, reason="VIP", branch_id=second.id)
    gifts.top_up(first, 10_000, branch_id=gifts.branch.id)
    paid = gifts.redeem(first, 100_000, branch_id=second.id)
    gifts.redeem(first, 50_000, branch_id=second.id)
    gifts.redeem(free, 20_000, branch_id=gifts.branch.id)
    gifts.refund(first, paid, amount=30_000, branch_id=second.id)
    gifts.pay_out(other, branch_id=gifts.branch.id)
    elsewhere = gifts.redeem(first, 1_000, acceptor_id=gifts.partner.id)
    gifts.refund(first, elsewhere, amount=400, organisation_id=gifts.partner.id)
    shown = of(gifts, gifts.issuer)
    assert shown["Набережная"] == BranchFigures(
        gifts.branch.public_id, "Набережная", "RUB", 2, 510_000, 0, 0, 1, 1, 20_000, 0, 200_000,
        310_000 - 150_000 + 30_000 - 600,
    )  # fmt: skip
    assert shown["Садовая"] == BranchFigures(
        second.public_id, "Садовая", "RUB", 0, 0, 1, 50_000, 1, 2, 150_000, 30_000, 0, 30_000
    )
    assert set(shown) == {"Набережная", "Садовая"}
    assert of(gifts, gifts.partner) == {
        "": BranchFigures(None, "", "RUB", 0, 0, 0, 0, 1, 1, 1_000, 400, 0, 0)
    }
    assert of(gifts, gifts.stranger) == {}
    balances = gifts.scalar("SELECT sum(balance) FROM accounts WHERE kind = 'certificate'")
    assert sum(row.outstanding for row in shown.values()) == balances


def test_what_is_undone_stands_beside_what_it_undoes(gifts: Gifts) -> None:
    """In whatever branch the guest or the seller came back."""
    with gifts.database.write_tx() as session:
        second = create_branch(
            session, organisation_id=gifts.issuer.id, name="Садовая", now=gifts.now
        )
        theirs = create_branch(
            session, organisation_id=gifts.partner.id, name="Кафе", now=gifts.now
        )
    first, mistake = gifts.sold(5_000), gifts.sold(700)
    paid = gifts.redeem(first, 3_000, branch_id=gifts.branch.id)
    gifts.refund(first, paid, amount=1_000, branch_id=second.id)
    nowhere = gifts.redeem(first, 100)
    gifts.refund(first, nowhere, branch_id=second.id)
    taken = gifts.redeem(first, 500, acceptor_id=gifts.partner.id, branch_id=theirs.id)
    gifts.refund(first, taken, amount=200, organisation_id=gifts.partner.id)
    gifts.cancel(mistake, branch_id=second.id)
    shown = of(gifts, gifts.issuer)
    assert set(shown) == {"Набережная", ""}
    own = shown["Набережная"]
    assert (own.sold, own.debited, own.refunded, own.outstanding) == (5_000, 3_000, 1_000, 2_700)
    assert (shown[""].debited, shown[""].refunded) == (100, 100)
    partners = of(gifts, gifts.partner)
    assert set(partners) == {"Кафе"}
    assert (partners["Кафе"].debited, partners["Кафе"].refunded) == (500, 200)


def test_a_period_begins_and_ends(gifts: Gifts) -> None:
    """What is owed is owed at its end; what expired is still owed, a transfer sells nothing."""
    gift = gifts.sold(5_000, expires_at=gifts.later(days=5))
    gifts.redeem(gift, 2_000, now=gifts.later(days=3))
    gifts.transfer(gift, now=gifts.later(days=4))
    row = of(gifts, gifts.issuer, days=3)["Набережная"]
    assert (row.sold_count, row.sold, row.debited, row.outstanding) == (1, 5_000, 0, 5_000)
    row = of(gifts, gifts.issuer, days=50)["Набережная"]
    assert (row.sold_count, row.sold, row.outstanding) == (1, 5_000, 3_000)
    with gifts.database.read_tx() as session:
        late = figures.by_branch(
            session, gifts.issuer.id, gifts.later(days=10), gifts.later(days=20)
        )
    assert [(row.sold, row.debited, row.outstanding) for row in late] == [(0, 0, 3_000)]
