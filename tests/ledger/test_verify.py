"""Verification names every kind of damage, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.ledger.damage import DAMAGE
from tests.ledger.shop import Shop
from walletsvc.ledger import due
from walletsvc.ledger.verify import CHECKS, counts, differences, find
from walletsvc.merchants.service import create_organisation


@dataclass
class World:
    """An eventful ledger: names of accounts, transactions and holds."""

    shop: Shop
    names: dict[str, Any] = field(default_factory=dict)

    def account(self, name: str, **options: Any) -> int:
        account = self.shop.account(**options)
        self.add(name, "accounts", account)
        return account

    def add(self, name: str, table: str, id_: int) -> None:
        self.names[f"{name}_id"] = id_
        found = self.shop.all(f"SELECT public_id FROM {table} WHERE id = :id", id=id_)
        self.names[name] = found[0][0]

    def note(self, **transactions: int) -> None:
        for name, id_ in transactions.items():
            self.add(name, "ledger_transactions", id_)


@pytest.fixture
def world(shop: Shop) -> World:
    """Everything that can happen to points and certificates, once."""
    world = World(shop)
    with shop.database.write_tx() as session:
        cafe = create_organisation(session, slug="cafe", name="Кафе", now=shop.now)
    a = world.account("a", min_balance=-50)
    world.note(c=shop.credit(a, 100).id, d=shop.debit(a, 30).id)
    world.note(small=shop.debit(a, 10).id)
    certificate = shop.certificate()
    world.add("b", "accounts", certificate)
    shop.credit(certificate, 500)
    indebted = world.account("indebted", min_balance=-50)
    shop.credit(indebted, 10)
    spent = shop.debit(indebted, 20)
    world.note(spent=spent.id, undone=shop.reverse(spent, amount=8).id)
    later = world.account("later")
    accrued = shop.credit(later, 40, available_from=shop.days(9))
    matured = shop.credit(later, 50, available_from=shop.days(1))
    world.note(accrued=accrued.id, unaccrued=shop.reverse(accrued, amount=10).id)
    world.note(matured=matured.id, unmatured=shop.reverse(matured, amount=5, now=shop.days(1)).id)
    ended = world.account("ended")
    shop.credit(ended, 6, expires_at=shop.days(1))
    _others(world, cafe.id)
    ids = shop.all("SELECT id FROM ledger_transactions WHERE type = 'expiry'")
    world.note(expiry=ids[0][0])
    redemption = shop.all(
        "SELECT id FROM accounts WHERE code = 'redemption' AND organisation_id = :o"
        " AND unit_id = :u",
        o=shop.organisation_id,
        u=shop.points_id,
    )
    world.add("redemption", "accounts", redemption[0][0])
    lots = shop.all("SELECT sum(balance) FROM accounts WHERE kind = 'customer'")[0][0]
    world.names |= {
        "bakery_id": shop.organisation_id,
        "cafe_id": cafe.id,
        "roubles_id": shop.roubles_id,
        "lots": lots,
        "lots_and_7": lots + 7,
    }
    return world


def _others(world: World, cafe: int) -> None:
    """Another organisation takes points; holds; a transfer; a merger; an end."""
    shop = world.shop
    world.note(abroad=shop.debit(world.names["later_id"], 5, acceptor_id=cafe, now=shop.days(1)).id)
    h = world.account("h")
    shop.credit(h, 50)
    giver, taker = world.account("giver"), world.account("taker")
    world.note(given=shop.credit(giver, 25, expires_at=shop.days(30)).id)
    gone, heir = world.account("gone", min_balance=-50), world.account("heir")
    late = shop.debit(gone, 12)
    shop.credit(heir, 30)
    noon = {"now": shop.days(0.5), "expires_at": shop.days(1.5)}
    done, active = shop.hold(h, 30, **noon), shop.hold(h, 5, **noon)
    captured = shop.capture(done, 20, now=shop.days(0.5))
    moved = shop.transfer(giver, taker, 15)
    shop.merge(gone, heir)
    shop.reverse(late)
    world.note(captured=captured.id, moved=moved.id)
    world.add("done", "holds", done.id)
    world.add("active", "holds", active.id)
    due.settle_all(shop.database, shop.days(1))


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE, ids=[each[1] for each in DAMAGE])
def test_each_kind_of_damage_is_named(world: World, damage: str, sentence: str) -> None:
    """The sentence names the account or transaction, what is stored and what follows."""
    assert world.shop.differences() == []
    with Session(world.shop.database.engine) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in damage.format(**world.names).split(";"):
            session.execute(text(statement))
        found = list(find(session))
        session.rollback()
    assert sentence.format(**world.names) in [each.words for each in found]
    owners = {world.names["bakery_id"], world.names["cafe_id"]}
    assert {each.organisation_id for each in found} <= owners


def test_every_check_has_its_damage() -> None:
    """No check goes untested."""
    for check in CHECKS:
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(check.words))
        assert any(re.fullmatch(pattern, sentence) for _, sentence in DAMAGE), check.words


def test_an_eventful_ledger_is_clean_and_counted(shop: Shop) -> None:
    """Debt, reversals, ends and certificates leave no difference; the counts are the rows."""
    account, certificate = shop.account(min_balance=-100), shop.certificate()
    shop.credit(account, 40, expires_at=shop.days(1))
    spent = shop.debit(account, 70)
    shop.credit(account, 50)
    shop.reverse(spent, now=shop.days(2))
    shop.credit(certificate, 100)
    shop.reverse(shop.debit(certificate, 60))
    assert shop.differences() == []
    with shop.database.read_tx() as session:
        seen = counts(session)
        assert list(differences(session)) == []
    assert (seen.transactions, seen.entries, seen.lots) == (7, 14, 2)


def test_an_empty_ledger_is_clean(shop: Shop) -> None:
    """Nothing stored, nothing to differ."""
    assert shop.differences() == []
