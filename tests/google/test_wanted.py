"""What Google should have now, from the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlmodel import Session, delete, select

from tests.google.samples import accepted
from tests.google.shop import GOOGLE, HOUSE, PUBLISHER, google_pass, wanted
from tests.heard import statements
from tests.passes.shop import DIALECTS, TILL, certificate, member, open_shop, plain
from tests.passes.shop import product_template as template
from walletsvc.google.issuer import ensure_object
from walletsvc.google.models import GoogleClass, GoogleObject, Kind
from walletsvc.google.wanted import House, classes, objects
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.passes.content import description
from walletsvc.passes.models import Pass, Wallet
from walletsvc.passes.service import ensure_pass, find_by_link
from walletsvc.passes.templates import publish
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database


def test_a_loyalty_card_as_google_should_have_it(database: Database, now: datetime) -> None:
    """The product's own template, filled in."""
    with database.write_tx() as session:
        card = member(session, open_shop(session, now), now, points=1250)
        found = wanted(session, card, now)
        google = session.exec(select(Pass).where(Pass.wallet == Wallet.GOOGLE)).one()
        accepted("Object", description(session, google.version_id or 0), found.body)
        number = f"{card.number[:4]} {card.number[4:8]} {card.number[8:12]} {card.number[12:]}"
        page = f"https://cards.example/c/{card.link_token}"
    assert found.object_id == f"{HOUSE.issuer_id}.{google.serial}" == found.body["id"]
    assert (found.kind, found.revision, found.pass_id) == (Kind.LOYALTY, 1, google.id)
    assert found.values == {"points": 1250}
    assert found.notifies == {"points", "tier"}
    assert found.body["loyaltyPoints"]["balance"]["int"] == 1250
    assert (found.body["accountName"], found.body["accountId"]) == ("Анна Соколова", number)
    assert [module["id"] for module in found.body["textModulesData"]] == ["guest", "since"]
    assert found.body["barcode"]["value"] == card.number
    assert [uri["uri"] for uri in found.body["linksModuleData"]["uris"]] == [page]


def test_a_gift_card_as_google_should_have_it(database: Database, now: datetime) -> None:
    """Its balance is told by a message, so nothing of it notifies."""
    end = datetime(2027, 11, 20, 21, 0, tzinfo=UTC)
    with database.write_tx() as session:
        gift = certificate(session, open_shop(session, now), now, expires_at=end)
        found = wanted(session, gift, now)
        code = gift.code
    assert found.kind is Kind.GIFT_CARD
    assert found.body["cardNumber"] == found.body["barcode"]["value"] == code
    assert found.body["balance"] == {"micros": "5000000000", "currencyCode": "RUB"}
    assert found.notifies == frozenset()
    assert [module["id"] for module in found.body["textModulesData"]] == [
        "recipient",
        "face_value",
        "valid_until",
    ]
    message = found.message({"left": {"amount": 400000, "currency": "RUB"}})
    assert message is not None
    assert "5\xa0000\xa0₽" in message["body"]


def test_it_is_what_was_published_and_not_what_is_about_to_be(
    database: Database, now: datetime
) -> None:
    """The revision says which publication Google is told of."""
    with database.write_tx() as session:
        card = member(session, open_shop(session, now), now, points=5)
        first = wanted(session, card, now)
        ledger.credit(session, card.account_id, 7, source="x", actor=TILL, reason="x", now=now)
        assert objects(session, [first.pass_id], HOUSE)[first.pass_id] == first
        later = now + timedelta(minutes=1)
        PUBLISHER.publish(session, [first.pass_id], lane=Lane.INTERACTIVE, now=later)
        second = objects(session, [first.pass_id], HOUSE)[first.pass_id]
    assert (first.revision, second.revision) == (1, 2)
    assert (first.values, second.values) == ({"points": 5}, {"points": 12})
    assert second.buzzes(first.values)
    assert not second.buzzes(second.values)
    assert not second.buzzes({})
    assert second.message(first.values) is None


def test_a_patch_names_everything_but_the_ids(database: Database, now: datetime) -> None:
    """The class of an object cannot change, and its id stands in the path."""
    with database.write_tx() as session:
        found = wanted(session, member(session, open_shop(session, now), now), now)
    assert found.body.keys() - found.patch().keys() == {"id", "classId"}


def test_what_google_has_nothing_to_do_with_is_left_out(database: Database, now: datetime) -> None:
    """Apple's passes, those never published, those without a class."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now)
        google_pass(session, card, now)
        apple = session.exec(select(Pass.id).where(Pass.wallet == Wallet.APPLE)).one()
        assert objects(session, [apple, 10**9], HOUSE) == {}
        assert objects(session, [], HOUSE) == {}
        gift = find_by_link(session, certificate(session, shop, now).link_token)
        assert gift is not None
        unpublished = ensure_pass(session, gift, GOOGLE, now)
        ensure_object(session, unpublished, now)
        assert objects(session, [unpublished.id], HOUSE) == {}
        card_pass = session.exec(
            select(Pass).where(Pass.wallet == Wallet.GOOGLE, Pass.card_id == card.id)
        ).one()
        assert list(objects(session, [card_pass.id], HOUSE)) == [card_pass.id]
        session.execute(delete(GoogleObject))
        session.execute(delete(GoogleClass))
        assert objects(session, [card_pass.id], HOUSE) == {}


def test_many_objects_are_one_statement(database: Database, now: datetime) -> None:
    """A broadcast is rendered in batches."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        made = [
            google_pass(session, member(session, shop, now, phone=f"+790000020{n:02}"), now)
            for n in range(12)
        ]
        ids = [each.id for each in made]
        objects(session, ids, HOUSE)  # the plan is known from here on
        with statements(database) as seen:
            found = objects(session, ids, HOUSE)
    assert sorted(found) == sorted(ids)
    assert len(seen) == 1, seen


def test_every_published_template_has_a_class(database: Database, now: datetime) -> None:
    """Rows come by themselves, once; ids are random behind the programme's name."""
    with database.write_tx() as session:
        open_shop(session, now)
        found = classes(session, HOUSE, now)
        again = classes(session, HOUSE, now)
        rows = session.exec(select(GoogleClass)).all()
        for each in found:
            accepted("Class", description(session, each.version_id), each.body)
    assert found == again
    assert {row.id for row in rows} == {each.google_class_id for each in found}
    assert sorted(each.kind for each in found) == [Kind.GIFT_CARD, Kind.LOYALTY]
    for each in found:
        slug = "gift" if each.kind is Kind.GIFT_CARD else "guest"
        issuer, name = each.class_id.split(".")
        assert (issuer, name[:-8]) == (HOUSE.issuer_id, f"{slug}-")
        assert each.body["id"] == each.class_id
    assert all(row.digest is None and row.version_id is None for row in rows)


def test_a_class_is_another_when_the_shop_or_the_template_is(
    database: Database, now: datetime
) -> None:
    """The sender goes by the digest."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        before = _digests(session, HOUSE, now)
        assert _digests(session, HOUSE, now) == before
        shop.organisation.name = "Южный берег"
        session.flush()
        renamed = _digests(session, HOUSE, now)
        assert renamed[Kind.LOYALTY] != before[Kind.LOYALTY]
        _republish(session, shop, now)
        looked = _digests(session, HOUSE, now)
        assert looked[Kind.LOYALTY] != renamed[Kind.LOYALTY]
        assert looked[Kind.GIFT_CARD] == renamed[Kind.GIFT_CARD]
        moved = replace(HOUSE, base_url="https://other.example")
        assert _digests(session, moved, now)[Kind.GIFT_CARD] != looked[Kind.GIFT_CARD]


def _digests(session: Session, house: House, now: datetime) -> dict[Kind, bytes]:
    session.expire_all()
    return {each.kind: each.digest for each in classes(session, house, now)}


def _republish(session: Session, shop: Any, now: datetime) -> None:
    loaded = plain(template("loyalty"))
    colours = loaded.description.colours.model_copy(update={"background": "#000000"})
    changed = loaded.description.model_copy(update={"colours": colours})
    publish(
        session,
        programme_id=shop.points.id,
        pass_type_id=shop.points_type.id,
        template=replace(loaded, description=changed),
        dialects=DIALECTS,
        now=now,
    )


def test_the_installation_in_every_body() -> None:
    """Over plain http Google would not come, so no callback is asked for; its stand-in comes."""
    house = House.of(Settings(public_url="https://cards.example", google_issuer_id="33"))
    assert house == House("33", "https://cards.example", "ru")
    assert house.callback_url == "https://cards.example/google/callback"
    assert House.of(Settings(port=8000)).callback_url is None
    beside = House.of(Settings(port=8000, google_url="http://127.0.0.1:8192"))
    assert beside.callback_url == "http://127.0.0.1:8000/google/callback"


def test_bodies_are_json(database: Database, now: datetime) -> None:
    """What is sent is what is stored of a request."""
    with database.write_tx() as session:
        found = wanted(session, certificate(session, open_shop(session, now), now), now)
    assert orjson.loads(orjson.dumps(found.body)) == found.body
    assert orjson.loads(orjson.dumps(found.values)) == found.values


def test_an_objects_row_is_made_once(database: Database, now: datetime) -> None:
    """Nothing is due by it: whoever makes it inserts the object."""
    with database.write_tx() as session:
        made = google_pass(session, member(session, open_shop(session, now), now), now)
        first = ensure_object(session, made, now)
        assert ensure_object(session, made, now + timedelta(days=1)) is first
        (row,) = session.exec(select(GoogleObject)).all()
        assert (row.due_at, row.inserted_at, row.has_users, row.sent_values) == (
            None,
            None,
            False,
            {},
        )
        assert row.created_at == now
