"""Listing open holds: what a till that lost its memory finds again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api, make_certificate
from tests.api.holding import capture, hold
from walletsvc.access.rules import SCOPES, Scope
from walletsvc.merchants.acceptance import accept


def listed(api: Api, secret: str | None = None, **query: Any) -> list[str]:
    """The ids of one piece."""
    answer = api.call("GET", "/holds", query_string=query, secret=secret)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.get_json()["items"]]


def made(api: Api, **given: Any) -> str:
    """The id of a new hold."""
    answer = hold(api, given.pop("amount", 10), **given)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["hold"]["id"])


def test_only_open_holds_are_listed(api: Api, card: str, later: Any) -> None:
    """Neither captured nor voided nor those whose time is over, noted or not."""
    taken, voided, brief, stays = (
        made(api, card_id=card, seconds=seconds) for seconds in (900, 900, 60, 900)
    )
    assert capture(api, taken).status_code == 200
    assert api.call("DELETE", f"/holds/{voided}").status_code == 200
    assert listed(api) == [stays, brief]
    later(59.999)
    assert listed(api) == [stays, brief]
    later(60)
    assert listed(api) == [stays]
    (row,) = api.call("GET", "/holds").get_json()["items"]
    assert row == api.call("GET", f"/holds/{stays}").get_json()


def test_of_a_card_or_of_a_certificate(api: Api, card: str) -> None:
    """What is nobody's answers as what has none."""
    other = str(api.member(first_name="Вера", phone="+79001112233")["card"]["id"])
    api.adjust(other, 50)
    gift = make_certificate(api)
    of_card, of_other = made(api, card_id=card), made(api, card_id=other)
    of_gift = made(api, certificate_id=gift)
    assert listed(api) == [of_gift, of_other, of_card]
    assert listed(api, card_id=card) == [of_card]
    assert listed(api, certificate_id=gift) == [of_gift]
    assert listed(api, card_id=gift) == listed(api, card_id="x") == listed(api, card_id="") == []
    both = api.call("GET", "/holds", query_string={"card_id": card, "certificate_id": gift})
    assert (both.status_code, both.get_json()["errors"][0]["field"]) == (400, "certificate_id")


def test_pieces_make_the_whole(api: Api, card: str) -> None:
    """Newest first; the cursor goes on although its hold is over by then."""
    all_ = [made(api, card_id=card) for _ in range(5)]
    first = api.call("GET", "/holds?limit=2").get_json()
    assert api.call("DELETE", f"/holds/{first['next_cursor']}").status_code == 200
    rest = listed(api, cursor=first["next_cursor"])
    assert [item["id"] for item in first["items"]] + rest == all_[::-1]


def test_an_organisation_lists_what_it_reserved(api: Api, card: str) -> None:
    """Of whoever's cards; not what others reserved, of its own cards either."""
    with api.database.write_tx() as session:
        accept(
            session,
            api.shop.organisation,
            api.other.organisation,
            points=True,
            certificates=False,
            now=api.now,
        )
    partner = api.key(shop=api.other)
    own, theirs = made(api, card_id=card), made(api, card_id=card, secret=partner)
    assert listed(api, card_id=card) == [own]
    assert listed(api, partner, card_id=card) == [theirs]
    foreign = api.call("GET", "/holds", query_string={"cursor": theirs})
    assert (foreign.status_code, foreign.get_json()["errors"][0]["field"]) == (400, "cursor")
    weak = api.key(*(scope for scope in SCOPES if scope != Scope.HOLDS_WRITE))
    assert api.call("GET", "/holds", secret=weak).status_code == 403


@pytest.mark.parametrize("dry", ["?dry_run=true", "?limit=0", "?limit=x", "?cursor=x"])
def test_what_is_wrong_is_refused(api: Api, dry: str) -> None:
    """Each with a clear 400."""
    assert api.call("GET", f"/holds{dry}").status_code == 400
