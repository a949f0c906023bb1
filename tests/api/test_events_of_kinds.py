"""Events give points: programmes that count none refuse them in their rules, and say so later."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.api.conftest import Api
from tests.api.selling import money, send
from tests.enrolment.test_gifts import EVENTS
from tests.sales.test_kinds import DISCOUNT, STAMPS
from walletsvc.cards.service import issue_card
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes.models import ProgrammeKind
from walletsvc.programmes.service import (
    create_discount_programme,
    create_gift_programme,
    create_stamps_programme,
)

BODILESS = {"CONTENT_LENGTH": "0"}
KINDS = [
    (ProgrammeKind.DISCOUNT, create_discount_programme, DISCOUNT),
    (ProgrammeKind.STAMPS, create_stamps_programme, STAMPS),
]


def save(api: Api, slug: str, book: dict[str, Any]) -> tuple[int, Any]:
    answer = api.call("PUT", f"/programmes/{slug}/rules/draft", json={"rules": book})
    return answer.status_code, answer.get_json()


def stored_with_events(api: Api) -> None:
    """As earlier releases saved it: whatever its rules are, they hold events now."""
    with api.database.write_tx() as session:
        session.execute(
            text("UPDATE rule_versions SET book = jsonb_set(book, '{events}', (:events)::jsonb)"),
            {"events": '{"manual": {"review": {"name": {"ru": "О", "en": "R"}, "points": 7}}}'},
        )


GIFT = (ProgrammeKind.GIFT, create_gift_programme, {"earn": {"percent": "0"}})


@pytest.mark.parametrize(("kind", "create", "book"), [*KINDS, GIFT])
def test_events_are_refused_where_no_points_are_counted(
    api: Api, kind: ProgrammeKind, create: Any, book: dict[str, Any]
) -> None:
    """Each by its field; nothing is kept."""
    with api.database.write_tx() as session:
        shop = api.shop.organisation.id
        create(session, organisation_id=shop, slug="other-kind", name="x", now=api.now)
    status, answer = save(api, "other-kind", {**book, "events": EVENTS})
    assert status == 400, answer
    fields = {each["field"]: each["message"] for each in answer["errors"]}
    names = [f"manual.{name}" for name in EVENTS["manual"]]
    assert set(fields) == {f"rules.events.{one}" for one in ("registration", "birthday", *names)}
    assert set(fields.values()) == {f"gives points, and a {kind} programme counts no points"}
    assert api.call("GET", "/programmes/other-kind/rules/draft").status_code == 404
    assert save(api, "other-kind", {**book, "events": {}})[0] == 200


@pytest.mark.parametrize(("kind", "create", "book"), KINDS)
def test_a_stored_book_with_events_works_on_and_is_not_published_again(
    api: Api, kind: ProgrammeKind, create: Any, book: dict[str, Any]
) -> None:
    """Sales go on by it, and who tells an event hears why there is none."""
    with api.database.write_tx() as session:
        shop = api.shop.organisation.id
        made = create(session, organisation_id=shop, slug="other-kind", name="x", now=api.now)
        person = find_or_create_person(
            session, organisation_id=shop, phone="+79001112233", first_name="A", now=api.now
        )
        card = issue_card(session, person=person, programme=made, now=api.now).public_id
    save(api, "other-kind", book)
    path = "/programmes/other-kind/rules/publish"
    assert api.call("POST", path, environ_overrides=BODILESS).status_code == 200
    save(api, "other-kind", book)
    stored_with_events(api)
    answer = api.call("POST", path, environ_overrides=BODILESS)
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (
        400,
        "events.manual.review",
    )
    bill = {"external_id": "1", "card_id": card, "total": money(100_000)}
    assert send(api, "/purchases", bill).status_code == 201
    told = send(api, f"/cards/{card}/events", {"event": "review"})
    assert (told.status_code, told.get_json()["detail"]) == (
        404,
        f"Events give points; a {kind} programme counts none.",
    )
