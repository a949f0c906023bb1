"""Tiers on passes: the name, and what is missing to the next one, in the holder's language."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest
from sqlalchemy import event, text
from sqlmodel import Session, col, select

from tests.passes.shop import DIALECTS, TILL, Shop, certificate, member, open_shop, product_template
from tests.programmes.books import LEVELS, book
from walletsvc.jobs.changes import Change, Lane
from walletsvc.passes import content, levels, stored
from walletsvc.passes.content import render
from walletsvc.passes.models import Pass, Wallet
from walletsvc.passes.publish import Publisher
from walletsvc.passes.templates import publish
from walletsvc.people.models import Person
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.tiers import service
from walletsvc.programmes.tiers.models import TierCause
from walletsvc.storage.engine import Database


def rules(session: Session, shop: Shop, rules: RuleBook, now: datetime) -> None:
    versions.save_draft(session, shop.points, rules, TILL, "", now)
    versions.publish(session, shop.points, TILL, now)


def says(session: Session) -> tuple[str | None, str | None]:
    """The tier and the next tier on the one card's pass."""
    pass_ = session.exec(select(Pass).where(col(Pass.card_id).is_not(None))).one()
    values = render(session, [pass_.id])[pass_.id].content["values"]
    return values.get("tier"), values.get("next_tier")


def buy(session: Session, shop: Shop, account_id: int, amount: int, now: datetime) -> None:
    service.add_turnover(session, account_id, shop.organisation.id, now.date(), amount)
    service.reconsider(session, account_id, shop.points, now, TierCause.PURCHASE)


def test_the_tier_of_a_card(database: Database, now: datetime) -> None:
    """From the first tier of who has bought nothing to the top, where nothing is missing."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now)
        certificate(session, shop, now)
        assert says(session) == (None, None)
        rules(session, shop, book(), now)
        assert says(session) == (None, None)
        rules(session, shop, book(*LEVELS), now)
        assert says(session) == ("Бронза", "ещё 1\xa0000\xa0₽ до уровня «Серебро»")
        buy(session, shop, card.account_id, 123_401, now)
        assert says(session) == ("Серебро", "ещё 3\xa0766\xa0₽ до уровня «Золото»")
        buy(session, shop, card.account_id, 400_000, now)
        assert says(session) == ("Золото", None)
        person = session.get_one(Person, card.person_id)
        person.language = "en"
        session.flush()
        assert says(session)[0] == "Gold"


def test_words_in_english(database: Database, now: datetime) -> None:
    """Whole units, rounded up: who buys for so much is there."""
    row = SimpleNamespace(
        rules=book(*LEVELS), tier="bronze", tier_base=1, currency="RUB", language="en"
    )
    assert levels.next_name(row) == "1,000\xa0₽ more to “Silver”"
    row.tier_base = 99_999
    assert levels.next_name(row) == "1\xa0₽ more to “Silver”"


def test_a_tier_that_the_rules_no_longer_have(database: Database, now: datetime) -> None:
    """Until the job has come to the card, it is the one that the turnover reaches."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now)
        rules(session, shop, book(*LEVELS), now)
        buy(session, shop, card.account_id, 600_000, now)
        rules(session, shop, book(("bronze", 0), ("star", 550_000)), now)
        assert says(session) == ("star", None)


def test_serving_reads_the_tier_too(database: Database, now: datetime) -> None:
    """The one statement of the web service says what publishing said, in a process that is new."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now)
        rules(session, shop, book(*LEVELS), now)
        buy(session, shop, card.account_id, 120_000, now)
        pass_ = session.exec(select(Pass)).one()
        expected = render(session, [pass_.id])[pass_.id]
    versions._BOOKS.clear()
    read = stored.by_serial(
        database, wallet=Wallet.APPLE, pass_type="pass.test.points", serial=pass_.serial
    )
    assert read is not None
    assert read.said == expected
    assert expected.content["values"]["tier"] == "Серебро"


def test_rules_that_others_push_out_are_read_again(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between learning them and telling of them, as when more books are in use than are kept."""
    pushed: list[str] = []

    def learn(session: Session, public_id: str) -> None:
        versions.learn_book(session, public_id)
        if not pushed:
            pushed.append(public_id)
            versions._BOOKS.clear()

    with database.write_tx() as session:
        shop = open_shop(session, now)
        member(session, shop, now)
        rules(session, shop, book(*LEVELS), now)
        monkeypatch.setattr(content, "learn_book", learn)
        versions._BOOKS.clear()
        assert says(session)[0] == "Бронза"
        assert len(pushed) == 1


def test_a_change_of_tier_is_published(database: Database, now: datetime) -> None:
    """Through the change log, with nothing posted to the account."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now)
        rules(session, shop, book(*LEVELS), now)
        pass_id = session.exec(select(Pass.id)).one()
        publisher = Publisher(DIALECTS)
        publisher.publish(session, [pass_id], lane=Lane.INTERACTIVE, now=now)
        session.execute(text("DELETE FROM changes"))
        buy(session, shop, card.account_id, 120_000, now)
        change = session.exec(select(Change)).one()
        assert (change.topic, change.key) == ("account", card.account_id)
        assert publisher.publish(session, [pass_id], lane=Lane.INTERACTIVE, now=now) == {pass_id}


@pytest.mark.parametrize("count", [1, 20])
def test_the_books_are_read_once(database: Database, now: datetime, count: int) -> None:
    """However many passes show a tier: one statement more, and none the next time."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with database.write_tx() as session:
        shop = open_shop(session, now)
        for number in range(count):
            member(session, shop, now, phone=f"+7900{number:07}")
        rules(session, shop, book(*LEVELS), now)
        ids = session.exec(select(Pass.id)).all()
        render(session, ids[:1])
        versions._BOOKS.clear()
        event.listen(database.engine, "before_cursor_execute", note)
        render(session, ids)
        assert len(statements) == 2
        render(session, ids)
        event.remove(database.engine, "before_cursor_execute", note)
    assert len(statements) == 3


def test_a_template_without_tiers_reads_no_rules(database: Database, now: datetime) -> None:
    """Nothing is read that is not shown."""
    plain = product_template("loyalty")
    fields = plain.description.fields
    back = [
        spec.model_copy(update={"value": "{holder_name}"}) if "tier" in spec.key else spec
        for spec in fields.back
    ]
    fields = fields.model_copy(update={"back": back})
    described = plain.description.model_copy(update={"fields": fields})
    assert not content._Plan(described).tells_rules
    assert content._Plan(plain.description).tells_rules
    with database.write_tx() as session:
        shop = open_shop(session, now, published=False)
        publish(
            session, programme_id=shop.points.id, pass_type_id=shop.points_type.id,
            template=replace(plain, description=described), dialects=DIALECTS, now=now,
        )  # fmt: skip
        member(session, shop, now)
        rules(session, shop, book(*LEVELS), now)
        versions._BOOKS.clear()
        render(session, session.exec(select(Pass.id)).all())
        assert not versions._BOOKS
