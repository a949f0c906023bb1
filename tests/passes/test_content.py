"""What passes say now."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlmodel import Session, select

from tests.heard import statements
from tests.passes.shop import (
    DIALECTS,
    TILL,
    Shop,
    certificate,
    member,
    open_shop,
    plain,
    product_template,
)
from walletsvc.ledger import service as ledger
from walletsvc.passes import content
from walletsvc.passes.content import Rendered, render
from walletsvc.passes.models import Pass, PassType, TemplateVersion
from walletsvc.passes.schemas import Content, FieldSpec
from walletsvc.passes.templates import publish
from walletsvc.storage.engine import Database


def only(session: Session) -> Rendered:
    """The one pass there is."""
    pass_id = session.exec(select(Pass.id)).one()
    return render(session, [pass_id])[pass_id]


def test_a_loyalty_card_says_whose_it_is_and_what_it_holds(
    database: Database, now: datetime
) -> None:
    """Numbers stay numbers, people read the card number in groups, scanners get it plain."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now, points=1250)
        rendered = only(session)
    number = card.number
    assert rendered.content == {
        "values": {
            "points": 1250,
            "guest": "Анна",
            "number": f"{number[:4]} {number[4:8]} {number[8:12]} {number[12:]}",
            "since": "2026-11-20T12:30:00+03:00",
            "holder": "Анна Соколова",
            "phone": "+7 812 555-01-42",
            "site": "https://nordshore.example",
            "terms_page": "/terms/guest",
        },
        "barcode": number,
        "barcode_alt": f"{number[:4]} {number[4:8]} {number[8:12]} {number[12:]}",
        "organisation": "Северный берег",
    }


def test_a_gift_card_says_what_is_left(database: Database, now: datetime) -> None:
    """Money carries its currency; the last good day is a day of the programme's zone."""
    end = datetime(2027, 11, 20, 21, 0, tzinfo=UTC)  # midnight in Moscow, the end of the 20th
    with database.write_tx() as session:
        shop = open_shop(session, now)
        gift = certificate(session, shop, now, expires_at=end)
        ledger.debit(session, gift.account_id, 135050, actor=TILL, reason="test", now=now)
        rendered = only(session)
    assert rendered.content == {
        "values": {
            "left": {"amount": 364950, "currency": "RUB"},
            "balance": {"amount": 364950, "currency": "RUB"},
            "recipient": "Марина",
            "face_value": {"amount": 500000, "currency": "RUB"},
            "valid_until": "2027-11-20T23:59:59+03:00",
            "phone": "+7 812 555-01-42",
            "site": "https://nordshore.example",
            "terms_page": "/terms/gift",
        },
        "barcode": gift.code,
        "barcode_alt": gift.code,
        "organisation": "Северный берег",
        "expires_at": "2027-11-20T21:00:00Z",
    }


def test_a_renewed_certificate_makes_another_pass_of_it(database: Database, now: datetime) -> None:
    """Each generation has its digest; none at all is the digest that there always was."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        member(session, shop, now, points=10)
        kind = session.get_one(PassType, session.exec(select(Pass.pass_type_id)).one())
        version = session.get_one(TemplateVersion, only(session).version_id)
        seen = {}
        for generation in (0, 1, 2):
            kind.generation = generation
            session.flush()
            rendered = only(session)
            seen[rendered.digest] = rendered.content
            assert rendered.content.get("generation", 0) == generation
            assert Content.model_validate(rendered.content).as_json() == rendered.content
        assert len(seen) == 3
        plain_content = next(iter(seen.values()))
        packed = orjson.dumps(plain_content, option=orjson.OPT_SORT_KEYS)
        assert next(iter(seen)) == hashlib.sha256(version.digest + packed).digest()


def test_rendered_content_is_what_the_schema_stores(database: Database, now: datetime) -> None:
    """The short way round validation arrives at the same form."""
    with database.write_tx() as session:
        shop = open_shop(session, now, scale=2)
        member(session, shop, now, points=1255)
        gift = certificate(session, shop, now, expires_at=now + timedelta(seconds=1))
        gift.blocked_at = now
        session.flush()
        for rendered in render(session, session.exec(select(Pass.id)).all()).values():
            assert Content.model_validate(rendered.content).as_json() == rendered.content


def test_what_is_unknown_is_left_out(database: Database, now: datetime) -> None:
    """No empty lines on the card: no recipient, no end, no phone, no website, no surname."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        shop.organisation.phone = shop.organisation.website = None
        session.add(shop.organisation)
        certificate(session, shop, now, recipient="")
        member(session, shop, now, last="")
        session.flush()
        gift, card = (r.content["values"] for r in _by_kind(session))
    assert set(gift) == {"left", "balance", "face_value", "terms_page"}
    assert card["holder"] == "Анна"
    assert not {"phone", "site"} & set(card)


def _by_kind(session: Session) -> list[Rendered]:
    """The gift card's, then the loyalty card's."""
    ids = session.exec(select(Pass.id)).all()
    return sorted(render(session, ids).values(), key=lambda r: "left" not in r.content["values"])


def test_points_with_decimals_are_a_decimal_number(database: Database, now: datetime) -> None:
    """12.55 points are not 1255."""
    with database.write_tx() as session:
        shop = open_shop(session, now, scale=2)
        member(session, shop, now, points=1255)
        assert only(session).content["values"]["points"] == 12.55


@pytest.mark.parametrize("column", ["blocked_at", "closed_at"])
def test_a_blocked_or_closed_certificate_is_void(
    database: Database, now: datetime, column: str
) -> None:
    """It is still shown, as void: silence would leave a stale balance on the phone."""
    with database.write_tx() as session:
        gift = certificate(session, open_shop(session, now), now)
        assert "voided" not in only(session).content
        setattr(gift, column, now)
        session.flush()
        assert only(session).content["voided"] is True


def test_a_closed_card_is_void(database: Database, now: datetime) -> None:
    """The same for cards."""
    with database.write_tx() as session:
        card = member(session, open_shop(session, now), now)
        card.closed_at = now
        session.flush()
        assert only(session).content["voided"] is True


def test_the_digest_follows_what_is_shown(database: Database, now: datetime) -> None:
    """Equal digests, nothing to push; a new balance or a new look, another digest."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card = member(session, shop, now, points=100)
        first = only(session)
        assert only(session).digest == first.digest
        earned = ledger.credit(
            session, card.account_id, 5, source="x", actor=TILL, reason="x", now=now
        )
        assert only(session).digest != first.digest
        ledger.reverse(session, earned.id, actor=TILL, reason="x", now=now + timedelta(hours=1))
        assert only(session).digest == first.digest
        _republish(session, shop, now, label="#ffffff")
        again = only(session)
        assert again.content == first.content
        assert (again.digest, again.version_id) != (first.digest, first.version_id)
        assert again.digest != first.digest


def _republish(session: Session, shop: Shop, now: datetime, *, label: str, value: str = "") -> None:
    template = plain(product_template("loyalty"))
    described = template.description
    fields = described.fields
    if value:
        spec = FieldSpec(key="mixed", label="points_label", value=value)
        fields = fields.model_copy(update={"back": [*fields.back, spec]})
    colours = described.colours.model_copy(update={"label": label})
    described = described.model_copy(update={"colours": colours, "fields": fields})
    publish(
        session,
        programme_id=shop.points.id,
        pass_type_id=shop.points_type.id,
        template=replace(template, description=described),
        dialects=DIALECTS,
        now=now,
    )


def test_placeholders_in_company_become_text(database: Database, now: datetime) -> None:
    """A name with braces in it is a name and not a placeholder."""
    with database.write_tx() as session:
        shop = open_shop(session, now, scale=2)
        member(session, shop, now, points=1250, first="{card_number}", last="")
        _republish(session, shop, now, label="#ffffff", value="{first_name}: {points} из 100")
        assert only(session).content["values"]["mixed"] == "{card_number}: 12.50 из 100"


def test_many_passes_are_one_statement(database: Database, now: datetime) -> None:
    """A broadcast renders a hundred thousand; unknown ids are no reason to stop."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        for n in range(20):
            member(session, shop, now, points=n + 1, phone=f"+790000020{n:02}")
        certificate(session, shop, now)
        session.flush()
        ids = list(session.exec(select(Pass.id)).all())
        render(session, ids)  # the plans of both versions are known from here on
        with statements(database) as seen:
            found = render(session, [*ids, 10**9])
    assert set(found) == set(ids)
    assert len(seen) == 1
    assert sorted(r.content["values"].get("points", 0) for r in found.values()) == list(range(21))


def test_nothing_asked_nothing_answered(database: Database) -> None:
    """An empty batch is fine."""
    with database.read_tx() as session:
        assert content.render(session, []) == {}
