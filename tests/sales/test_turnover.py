"""What was bought stays known where it does not count: rules may count it later."""

from __future__ import annotations

import importlib
import json
from datetime import timedelta
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text

from tests.sales.rehearsals import tried
from tests.sales.shop import BOOK, TILL, Café
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.cards.tiers.preview import Preview, preview
from walletsvc.programmes.rulebook.schemas import RuleBook

CAFE_ONLY: dict[str, Any] = BOOK | {"tier_base": {"organisations": ["cafe"]}}
# Of 600.00 only 400.00 count: cigarettes take no part.
BILL: list[dict[str, Any]] = [
    {"item": "soup", "quantity": "3", "price": 10_000},
    {"item": "tea", "quantity": "1", "price": 10_000},
    {"item": "cigarettes", "quantity": "2", "price": 10_000},
]


def looked(café: Café, book: dict[str, Any]) -> Preview:
    """Who would move under these rules."""
    with café.database.read_tx() as session:
        checked = RuleBook.model_validate(book)
        return preview(session, café.programme, checked, café.now)


def at_partner(café: Café, card: Card, bill: Any, **options: Any) -> Any:
    """Bought at the partner's."""
    return café.buy(card, bill, by=café.caller(café.partner), **options)


def test_widening_counts_the_past(café: Café) -> None:
    """Bought where it did not count, it makes no tier; counted later, it does."""
    café.publish(CAFE_ONLY, café.now - timedelta(days=3))
    card = café.card()
    bought = at_partner(café, card, 150_000)
    assert (bought.tier_after, bought.tier_amount, café.turnover(card)) == (
        "bronze",
        150_000,
        150_000,
    )
    assert café.tier(card) in (None, "bronze")
    assert café.buy(card, 10_000).tier_after == "bronze"
    assert looked(café, CAFE_ONLY).movers == []
    (mover,) = looked(café, BOOK).movers
    assert (mover.public_id, mover.step.after, mover.step.at_once, mover.base) == (
        card.public_id,
        "gold",
        True,
        160_000,
    )
    café.publish(BOOK)
    assert café.buy(card, 100).tier_after == "gold"
    assert café.tier(card) == "gold"
    assert café.clean()


def test_the_base_that_is_stored_is_what_was_bought(café: Café) -> None:
    """Whatever a purchase says of its day, and whether its place counts."""
    café.publish(CAFE_ONLY, café.now - timedelta(days=9))
    card = café.card()

    def stored() -> int:
        rows = café.all("SELECT base FROM account_tiers WHERE account_id = :id", id=card.account_id)
        return int(rows[0][0])

    café.buy(card, 10_000)
    assert stored() == 10_000
    at_partner(café, card, 7_000)
    assert stored() == 10_000
    café.buy(card, 5_000, at=café.now - timedelta(days=2))
    assert stored() == 15_000
    café.buy(card, 400)
    assert stored() == 15_400


def test_a_return_takes_back_what_did_not_count(café: Café) -> None:
    """In parts too, and nothing of a tier that rests on other purchases."""
    café.publish(CAFE_ONLY, café.now - timedelta(days=3))
    card = café.card()
    café.buy(card, 100_000)
    bought = at_partner(café, card, 90_000)
    café.refund(bought, by=café.caller(café.partner), sum=30_000)
    assert (café.turnover(card), café.tier(card)) == (160_000, "gold")
    café.refund(bought, by=café.caller(café.partner))
    assert (café.turnover(card), café.tier(card)) == (100_000, "gold")
    assert café.clean()


def test_a_rehearsal_counts_as_the_tried_rules_do(café: Café) -> None:
    """Before the period and in it."""
    café.publish(CAFE_ONLY, café.now - timedelta(days=90))
    steep = {"earn": {"percent_by_tier": {"bronze": "1", "gold": "10"}}}
    before, within = café.card(), café.card()
    at_partner(café, before, 150_000, at=café.now - timedelta(days=2))
    at_partner(café, within, 150_000, at=café.now - timedelta(hours=1))
    for card in (before, within):
        café.buy(card, 10_000)
        café.buy(card, 10_000)  # what the one before reached counts from here on
    today = café.now.date()
    wide = tried(café, BOOK | steep, first=today)["totals"]["earned_after"]
    assert wide == 10 + 10 + 15 + 10 + 10
    narrow = tried(café, CAFE_ONLY | steep, first=today)["totals"]["earned_after"]
    assert narrow == 1 + 1 + 15 + 1 + 1


def test_what_was_not_counted_is_made_up_for(café: Café) -> None:
    """Migration 0015: purchases, returns and turnover are as if it had always been kept."""
    café.publish(CAFE_ONLY | {"exclusions": {"items": ["cigarettes"]}}, café.now)
    card, joiner = café.card(), café.card(100)
    bought = at_partner(café, card, BILL, certificates=[(café.certificate(5_000), 5_000)])
    café.refund(bought, by=café.caller(café.partner), sum=12_345)
    café.refund(bought, by=café.caller(café.partner), sum=7_777)
    at_partner(café, joiner, BILL, points=100)
    café.refund(at_partner(café, joiner, 3_000), by=café.caller(café.partner))
    café.buy(joiner, BILL)
    with café.database.write_tx() as session:
        groups.approve(session, joiner, card, reason="family", actor=TILL, now=café.now)
    assert café.clean()
    with café.database.engine.begin() as connection:
        kept = contents(connection)
        spoil(connection, café.partner.id)
        assert contents(connection) != kept
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            migration = "walletsvc.storage.migrations.versions.0015_turnover_everywhere"
            importlib.import_module(migration).upgrade()
        assert contents(connection) == kept
    assert café.clean()


def contents(connection: Connection) -> list[Any]:
    """What tells of turnover; a day on which nothing was bought in the end is none."""
    statements = (
        "SELECT id, tier_amount, outcome FROM purchases",
        "SELECT id, outcome FROM refunds",
        "SELECT account_id, organisation_id, day, amount FROM turnover WHERE amount <> 0",
    )
    return [sorted(map(str, connection.execute(text(each)))) for each in statements]


def spoil(connection: Connection, organisation_id: int) -> None:
    """As it was stored while only purchases that counted were kept."""
    values = {"id": organisation_id}
    connection.execute(text("DELETE FROM turnover WHERE organisation_id = :id"), values)
    of_partner = "purchase_id IN (SELECT id FROM purchases WHERE organisation_id = :id)"
    for table, which in (("purchases", "organisation_id = :id"), ("refunds", of_partner)):
        found = connection.execute(text(f"SELECT id, outcome FROM {table} WHERE {which}"), values)
        for id_, outcome in found.all():
            share = outcome["share"] if table == "refunds" else outcome
            for each in (share.get("total", outcome), *share["lines"]):
                each["turnover"] = 0
            connection.execute(
                text(f"UPDATE {table} SET outcome = CAST(:outcome AS jsonb) WHERE id = :id"),
                {"id": id_, "outcome": json.dumps(outcome)},
            )
    connection.execute(
        text("UPDATE purchases SET tier_amount = 0 WHERE organisation_id = :id"), values
    )


def test_a_tier_reached_by_a_certificate_is_shown(café: Café) -> None:
    """Nothing was posted to the card's account, and yet its pass says another tier."""
    café.publish(BOOK | {"earn": {"percent": "0"}})
    card, gift = café.card(), café.certificate(200_000)
    with café.database.write_tx() as session:
        session.execute(text("DELETE FROM changes"))
    assert café.buy(card, 150_000, certificates=[(gift, 50_000)]).tier_after == "gold"
    with café.database.read_tx() as session:
        changed = session.execute(text("SELECT key FROM changes WHERE topic = 'account'"))
        assert card.account_id in changed.scalars().all()
