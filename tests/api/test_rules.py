"""Rules over HTTP: drafts, publishing, versions, previews, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from tests.api.fuzzing import ANY_JSON, FUZZ
from walletsvc.access.rules import Scope
from walletsvc.api.blueprint import OPERATIONS
from walletsvc.api.operations import KeyRule
from walletsvc.api.rules import BOOK_EXAMPLE
from walletsvc.programmes.service import create_stamps_programme
from walletsvc.programmes.tiers import service as tiers
from walletsvc.programmes.tiers.models import TierCause

DRAFT = "/programmes/shop/rules/draft"
PUBLISH = "/programmes/shop/rules/publish"
RULES = "/programmes/shop/rules"
PREVIEW = "/programmes/shop/tiers/preview"
BODILESS = {"CONTENT_LENGTH": "0"}
PLAIN: dict[str, Any] = {"earn": {"percent": "5"}}


def save(api: Api, rules: dict[str, Any], note: str = "", **options: Any) -> TestResponse:
    return api.call("PUT", DRAFT, json={"rules": rules, "note": note}, **options)


def publish(api: Api, rules: dict[str, Any] | None = None, **options: Any) -> TestResponse:
    if rules is not None:
        assert save(api, rules).status_code == 200
    return api.call("POST", PUBLISH, environ_overrides=BODILESS, **options)


def buy(api: Api, card: str, amount: int) -> None:
    """What a purchase does to tiers."""
    with api.database.write_tx() as session:
        account = session.execute(
            text("SELECT account_id FROM cards WHERE public_id = :id"), {"id": card}
        ).scalar_one()
        tiers.add_turnover(session, account, api.shop.organisation.id, api.now.date(), amount)
        tiers.reconsider(session, account, api.shop.programme, api.now, TierCause.PURCHASE)


def test_the_whole_story(api: Api) -> None:
    """Save, read, publish, list, read again; a card shows its tier."""
    card = api.member()["card"]["id"]
    assert api.call("GET", DRAFT).status_code == 404
    saved = save(api, BOOK_EXAMPLE, "  Золото   с 50 000 ")
    assert saved.status_code == 200, saved.text
    draft = saved.get_json()
    assert (draft["number"], draft["state"], draft["note"]) == (1, "draft", "Золото с 50 000")
    assert draft["rules"]["tiers"] == BOOK_EXAMPLE["tiers"]
    assert draft["rules"]["spend"]["max_share_percent"] == "0"
    assert draft == api.call("GET", DRAFT).get_json()
    assert api.call("GET", f"/cards/{card}").get_json()["tier"] is None
    done = publish(api)
    assert done.status_code == 200, done.text
    assert done.get_json()["former"] is None
    assert done.get_json()["version"]["published_at"] == "2026-11-20T09:30:00Z"
    shown = api.call("GET", f"/cards/{card}").get_json()["tier"]
    assert shown == {"code": "bronze", "name": {"ru": "Бронза", "en": "Bronze"}}
    buy(api, card, 5_000_000)
    assert api.call("GET", f"/cards/{card}").get_json()["tier"]["code"] == "gold"
    assert publish(api, draft["rules"]).get_json()["former"] == 1
    save(api, PLAIN)
    listed = api.call("GET", f"{RULES}?limit=2").get_json()
    assert [(v["number"], v["state"]) for v in listed["items"]] == [(3, "draft"), (2, "published")]
    rest = api.call("GET", f"{RULES}?cursor={listed['next_cursor']}").get_json()
    assert [(v["number"], v["state"]) for v in rest["items"]] == [(1, "retired")]
    assert rest["next_cursor"] is None
    first = api.call("GET", f"{RULES}/1").get_json()
    assert first["rules"] == draft["rules"]
    assert first["retired_at"] == "2026-11-20T09:30:00Z"


def test_programmes_are_listed_with_their_rules(api: Api) -> None:
    """One's own only, by pieces."""
    with api.database.write_tx() as session:
        create_stamps_programme(
            session, organisation_id=api.shop.organisation.id, slug="stamps", name="Кофе",
            now=api.now,
        )  # fmt: skip
    publish(api, PLAIN)
    save(api, PLAIN)
    first = api.call("GET", "/programmes?limit=1").get_json()
    assert first == {
        "items": [
            {
                "slug": "shop",
                "name": "Клуб",
                "kind": "points",
                "currency": "RUB",
                "scale": 0,
                "time_zone": "Europe/Moscow",
                "code_policy": "static",
                "rules": 1,
                "draft": 2,
                "closed_at": None,
            }
        ],
        "next_cursor": "shop",
    }
    rest = api.call("GET", "/programmes?cursor=shop").get_json()
    assert [(each["slug"], each["kind"], each["rules"]) for each in rest["items"]] == [
        ("stamps", "stamps", None)
    ]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        ({}, {"rules.earn": "required"}),
        ({"earn": {}}, {"rules.earn.percent": "required"}),
        (
            PLAIN | {"tier_base": {"organisations": ["other"]}},
            {"rules.tier_base.organisations.0": "unknown"},
        ),
        (
            PLAIN
            | {
                "promotions": [
                    {
                        "id": "a",
                        "name": {"ru": "а", "en": "a"},
                        "when": {"branches": ["x"], "branch_groups": ["none"]},
                        "effect": {"kind": "percent", "percent": "1"},
                    }
                ]
            },
            {
                "rules.promotions.0.when.branches.0": "unknown",
                "rules.promotions.0.when.branch_groups.0": "unknown",
            },
        ),
        (
            BOOK_EXAMPLE | {"earn": {"percent_by_tier": {"bronze": "3", "silver": "4"}}},
            {
                "rules.earn.percent_by_tier.silver": "unknown_tier",
                "rules.earn.percent_by_tier.gold": "required",
            },
        ),
    ],
)
def test_every_mistake_is_named_with_its_field(
    api: Api, rules: dict[str, Any], fields: dict[str, str]
) -> None:
    """Nothing is saved, and a preview of them says the same."""
    before = api.rows()
    answer = save(api, rules)
    assert answer.status_code == 400
    assert {each["field"]: each["code"] for each in answer.get_json()["errors"]} == fields
    tried = api.call("POST", PREVIEW, json={"rules": rules})
    assert tried.get_json()["errors"] == answer.get_json()["errors"]
    assert api.rows() == before


def test_publishing_needs_a_draft(api: Api) -> None:
    """A second click is told that there is nothing; a retry with its key gets the answer."""
    assert publish(api).status_code == 409
    key = {"Idempotency-Key": "once"}
    first = publish(api, PLAIN, headers=key)
    again = publish(api, headers=key)
    assert (again.status_code, again.data) == (200, first.data)
    assert publish(api).get_json()["code"] == "conflict"


def test_who_would_move(api: Api) -> None:
    """Of the draft, or of rules that are sent along; by pieces; nothing is written."""
    cards = [api.member(first_name=name)["card"]["id"] for name in ("Анна", "Борис", "Вера")]
    publish(api, BOOK_EXAMPLE)
    for card, amount in zip(cards, (100_000, 200_000, 10), strict=True):
        buy(api, card, amount)
    assert api.call("POST", PREVIEW, json={}).status_code == 409
    lower = BOOK_EXAMPLE | {
        "tiers": [BOOK_EXAMPLE["tiers"][0], BOOK_EXAMPLE["tiers"][1] | {"threshold": 100_000}]
    }
    before = api.rows()
    shown = api.call("POST", PREVIEW, json={"rules": lower, "limit": 1}).get_json()
    move = {"before": "bronze", "after": "gold", "direction": "up", "at_once": True}
    assert shown["moves"] == [move | {"cards": 2}]
    assert shown["staying"] == 1
    assert shown["after"] == [{"tier": "bronze", "cards": 1}, {"tier": "gold", "cards": 2}]
    assert [(item["id"], item["turnover"]) for item in shown["items"]] == [(cards[0], 100_000)]
    assert api.rows() == before
    save(api, lower)
    rest = api.call("POST", PREVIEW, json={"cursor": shown["next_cursor"]}).get_json()
    assert [item["id"] for item in rest["items"]] == [cards[1]]
    assert rest["next_cursor"] is None


def test_another_organisations_programme_does_not_exist(api: Api) -> None:
    """It looks like one that is not there, whatever is called."""
    secret = api.key(shop=api.other)
    save(api, PLAIN)
    for operation in OPERATIONS:
        if operation.tag != "Rules" or "{slug}" not in operation.path:
            continue
        path = operation.path.replace("{number}", "1")
        answers = [
            api.call(
                operation.method,
                path.replace("{slug}", slug),
                secret=secret,
                json=operation.body_example if operation.body else None,
                headers={"Idempotency-Key": f"none-{slug}"}
                if operation.key is KeyRule.REQUIRED
                else {},
                environ_overrides={} if operation.body else BODILESS,
            )
            for slug in ("shop", "nope")
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        details = [answer.get_json()["detail"].replace("nope", "shop") for answer in answers]
        assert details[0] == details[1]


def test_reading_is_not_writing(api: Api) -> None:
    """A key that may read rules cannot change them."""
    reader = api.key(Scope.RULES_READ)
    save(api, PLAIN)
    assert api.call("GET", DRAFT, secret=reader).status_code == 200
    assert save(api, PLAIN, secret=reader).status_code == 403
    assert publish(api, secret=reader).status_code == 403


@pytest.mark.parametrize("number", ["0", "9", "-1", "1.0", "x", "9" * 30, "%00"])
def test_a_version_that_is_not_there(api: Api, number: str) -> None:
    """Whatever stands in its place."""
    save(api, PLAIN)
    assert api.call("GET", f"{RULES}/{number}").status_code == 404


@pytest.mark.parametrize("path", ["/programmes", RULES])
def test_a_cursor_of_another_list(api: Api, path: str) -> None:
    """Named with its field."""
    answer = api.call("GET", f"{path}?cursor=nonsense!")
    assert answer.status_code == 400
    assert answer.get_json()["errors"][0]["field"] == "cursor"
    tried = api.call("POST", PREVIEW, json={"rules": PLAIN, "cursor": "0" * 20})
    assert tried.get_json()["errors"][0]["field"] == "cursor"


def test_a_note_is_plain_text(api: Api) -> None:
    """Control characters would be shown to nobody's benefit."""
    answer = save(api, PLAIN, "a\x1bb")
    assert answer.get_json()["errors"] == [
        {
            "field": "note",
            "message": "must not hold control characters",
            "code": "invalid_characters",
        }
    ]


A_BOOK = st.fixed_dictionaries(
    {"earn": st.just({"percent": "5"}) | ANY_JSON},
    optional={
        "tiers": st.just(BOOK_EXAMPLE["tiers"]) | ANY_JSON,
        "tier_base": st.fixed_dictionaries(
            {}, optional={"organisations": ANY_JSON, "window_days": st.integers() | ANY_JSON}
        ),
        "promotions": st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.sampled_from(["a", "b"]),
                    "name": st.just({"ru": "а", "en": "a"}),
                    "effect": st.just({"kind": "fixed", "points": 5}),
                },
                optional={"when": st.dictionaries(st.sampled_from(["branches"]), ANY_JSON)},
            ),
            max_size=3,
        ),
    },
)


@FUZZ
@given(
    body=st.fixed_dictionaries(
        {"rules": A_BOOK | ANY_JSON}, optional={"note": st.text() | ANY_JSON}
    )
)
def test_any_book_is_saved_or_refused(api: Api, body: dict[str, Any]) -> None:
    """Never a 5xx; what is saved can be published and previewed."""
    answer = api.call("PUT", DRAFT, json=body)
    assert answer.status_code in (200, 400), answer.text
    tried = api.call("POST", PREVIEW, json={"rules": body["rules"]})
    if answer.status_code == 200:
        assert tried.status_code == 200, tried.text
        assert publish(api).status_code == 200
    else:
        assert answer.get_json()["errors"]
