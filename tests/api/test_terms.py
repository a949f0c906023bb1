"""Terms and posters over HTTP."""

from __future__ import annotations

from base64 import b64decode

from tests.api.conftest import BASE, Api
from walletsvc.enrolment import sources

TERMS = {"title": {"ru": "Условия"}, "body": {"ru": "# Раз\n\nДва"}}


def test_terms_are_published_listed_and_read(api: Api) -> None:
    """The newest first; the same again is no news; each has its page."""
    assert api.call("GET", "/programmes/shop/terms").get_json() == {
        "items": [],
        "url": f"{BASE}/terms/shop",
        "next_cursor": None,
    }
    for number, body in ((1, TERMS), (1, TERMS), (2, TERMS | {"body": {"ru": "Три"}})):
        answer = api.call("POST", "/programmes/shop/terms", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.get_json()["number"] == number
    first = api.call("GET", "/programmes/shop/terms?limit=1").get_json()
    assert [each["number"] for each in first["items"]] == [2]
    rest = api.call("GET", f"/programmes/shop/terms?cursor={first['next_cursor']}").get_json()
    assert [each["number"] for each in rest["items"]] == [1]
    read = api.call("GET", "/programmes/shop/terms/1").get_json()
    assert read["body"] == TERMS["body"]
    assert read["url"] == f"{BASE}/terms/shop?version=1"
    for missing in ("/programmes/shop/terms/9", "/programmes/shop/terms/x",
                    "/programmes/other/terms/1"):  # fmt: skip
        assert api.call("GET", missing).status_code == 404


def test_bad_terms_are_named(api: Api) -> None:
    """And nothing is published."""
    for body, field in (
        ({"title": {"ru": "x"}, "body": {}}, "body"),
        ({"title": {}, "body": {"ru": "x"}}, "title"),
        ({"title": {"ru": "x"}, "body": {"ru": " "}}, "body.ru"),
        ({"title": {"de": "x"}, "body": {"ru": "x"}}, "title.de"),
    ):
        answer = api.call("POST", "/programmes/shop/terms", json=body)
        assert answer.status_code == 400
        assert [each["field"] for each in answer.get_json()["errors"]] == [field]
    assert api.call("GET", "/programmes/shop/terms").get_json()["items"] == []


def test_a_poster_is_had_by_its_owner_only(api: Api) -> None:
    """As a PDF in base64, in the size and language asked for."""
    with api.database.write_tx() as session:
        source = sources.create(session, api.shop.programme, now=api.now)
        foreign = sources.create(session, api.other.programme, now=api.now)
    answer = api.call("GET", f"/join-sources/{source.public_id}/poster?size=a6&language=en")
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert body["file_name"] == f"poster-{source.code}-a6-en.pdf"
    assert b64decode(body["pdf"]).startswith(b"%PDF-")
    for wrong, status in (
        (f"/join-sources/{foreign.public_id}/poster", 404),
        (f"/join-sources/{source.public_id}/poster?size=a0", 400),
        (f"/join-sources/{source.public_id}/poster?language=de", 400),
    ):
        assert api.call("GET", wrong).status_code == status
