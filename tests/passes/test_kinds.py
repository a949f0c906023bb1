"""Stamp cards and discount cards on passes: what they say, and when it is said anew."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import Session, col, select

from tests.passes.shop import DIALECTS, TILL, open_shop, product_template
from tests.programmes.books import LEVELS, book
from tests.sales.test_kinds import STAMPS
from walletsvc.cards.models import Card
from walletsvc.cards.tiers.moving import KIND
from walletsvc.enrolment.service import enrol
from walletsvc.jobs.bulk import BulkJob
from walletsvc.ledger import service as ledger
from walletsvc.passes import kinds
from walletsvc.passes.content import render
from walletsvc.passes.models import Pass
from walletsvc.passes.templates import publish
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.service import create_discount_programme, create_stamps_programme
from walletsvc.programmes.tiers import service as tiers
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.storage.engine import Database


def off(percent: str, **more: Any) -> dict[str, Any]:
    """A discount promotion."""
    number = percent.replace(".", "-")
    return {
        "id": f"off-{number}",
        "name": {"ru": "Скидка", "en": "Off"},
        "effect": {"kind": "discount", "percent": percent},
        **more,
    }


def discounts(*promotions: dict[str, Any]) -> RuleBook:
    """A book of a discount card with the usual levels."""
    return book(*LEVELS, earn={"percent": "0"}, promotions=promotions)


BY_TIER = discounts(
    off("3", when={"tiers": ["bronze"]}), off("7.5", when={"tiers": ["silver", "gold"]})
)


def founded(session: Session, kind: str, rules: RuleBook, now: datetime) -> tuple[Programme, Card]:
    """A programme with the product's template of its kind, and a member."""
    shop = open_shop(session, now)
    create = {"stamps": create_stamps_programme, "discount": create_discount_programme}[kind]
    programme = create(
        session, organisation_id=shop.organisation.id, slug=kind, name="Клуб", now=now
    )
    publish(
        session, programme_id=programme.id, pass_type_id=shop.points_type.id,
        template=product_template(kind), dialects=DIALECTS, now=now,
    )  # fmt: skip
    put(session, programme, rules, now)
    card = enrol(
        session, programme=programme, phone="+79000001000", first_name="Анна", last_name="Соколова",
        actor=TILL, now=now,
    ).card  # fmt: skip
    return programme, card


def put(session: Session, programme: Programme, rules: RuleBook, now: datetime) -> None:
    """Publish these rules."""
    versions.save_draft(session, programme, rules, TILL, "", now)
    versions.publish(session, programme, TILL, now)


def shown(session: Session, card: Card) -> dict[str, Any]:
    """The values on the card's pass."""
    pass_id = session.exec(select(Pass.id).where(col(Pass.card_id) == card.id)).one()
    return dict(render(session, [pass_id])[pass_id].content["values"])


def test_a_stamp_card_says_how_full_it_is(database: Database, now: datetime) -> None:
    """The card that is being filled, and the full ones; read anew by a process that is new."""
    with database.write_tx() as session:
        _, card = founded(session, "stamps", RuleBook.model_validate(STAMPS), now)
        said = shown(session, card)
        assert (said["stamps"], said["collected"], said["rewards"]) == ("0 / 6", "0 / 6", 0)
        ledger.credit(
            session, card.account_id, 13, source="test", actor=TILL, reason="test", now=now
        )
        versions._BOOKS.clear()
        said = shown(session, card)
        assert (said["stamps"], said["collected"], said["rewards"]) == ("1 / 6", "1 / 6", 2)


def test_a_discount_card_says_the_percent_of_its_tier(database: Database, now: datetime) -> None:
    """In the holder's language; it follows the tier and the rules."""
    with database.write_tx() as session:
        programme, card = founded(session, "discount", BY_TIER, now)
        said = shown(session, card)
        assert (said["discount"], said["tier"]) == ("3\xa0%", "Бронза")
        tiers.add_turnover(session, card.account_id, programme.organisation_id, now.date(), 100_000)
        tiers.reconsider(session, card.account_id, programme, now, TierCause.PURCHASE)
        said = shown(session, card)
        assert (said["discount"], said["tier"]) == ("7,5\xa0%", "Серебро")
        put(session, programme, discounts(off("10")), now)
        assert shown(session, card)["discount"] == "10\xa0%"


@pytest.mark.parametrize(
    ("promotions", "percent"),
    [
        ([], "0%"),
        ([off("5"), off("2")], "7%"),
        ([off("5", stacking="best"), off("2", stacking="best"), off("1")], "6%"),
        ([off("5"), off("40", stacking="exclusive"), off("50", stacking="exclusive")], "40%"),
        ([off("60"), off("70")], "100%"),
        ([off("5", when={"weekdays": [2]}), off("4", when={"items": ["tea"]})], "0%"),
        ([off("5", when={"branch_groups": ["a"]}), off("4", when={"min_sum": 1})], "0%"),
        ([off("7.25", when={"tiers": ["bronze"]}), off("9", when={"tiers": ["gold"]})], "7.25%"),
    ],
)
def test_only_what_always_comes_off_is_promised(
    promotions: list[dict[str, Any]], percent: str
) -> None:
    """A card must not say what a till would then not do."""
    rules = discounts(*promotions)
    row = SimpleNamespace(rules=rules, tier="bronze", tier_base=0, language="en")
    assert kinds.discount(row) == percent


def test_other_rules_have_the_passes_looked_at(database: Database, now: datetime) -> None:
    """A bulk job touches every card when what stands on it changed, and only then."""
    with database.write_tx() as session:
        jobs = select(BulkJob).where(BulkJob.kind == KIND)
        programme, _ = founded(session, "stamps", RuleBook.model_validate(STAMPS), now)
        before = len(session.exec(jobs).all())
        put(session, programme, RuleBook.model_validate({**STAMPS, "promotions": []}), now)
        assert len(session.exec(jobs).all()) == before
        larger = {**STAMPS, "stamp_card": {**STAMPS["stamp_card"], "stamps": 8}}
        put(session, programme, RuleBook.model_validate(larger), now)
        assert len(session.exec(jobs).all()) == before + 1
