"""Named events of the rules over REST."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api
from tests.enrolment.test_gifts import EVENTS
from tests.factories import TILL
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook


def publish(api: Api) -> None:
    with api.database.write_tx() as session:
        book = RuleBook.model_validate({"earn": {"percent": "5"}, "events": EVENTS})
        versions.save_draft(session, api.shop.programme, book, TILL, "", api.now)
        versions.publish(session, api.shop.programme, TILL, api.now)


def tell(api: Api, card: str, event: str, key: str = "k", query: str = "") -> tuple[int, Any]:
    answer = api.call(
        "POST",
        f"/cards/{card}/events{query}",
        json={"event": event},
        headers={"Idempotency-Key": key},
    )
    return answer.status_code, answer.get_json()


def test_an_event_brings_what_the_rules_say(api: Api) -> None:
    """In the holder's language; a retry brings it once, a dry run not at all."""
    publish(api)
    card = api.member()["card"]["id"]
    status, tried = tell(api, card, "review", query="?dry_run=true")
    assert (status, tried["balance"]) == (200, 150)
    status, given = tell(api, card, "review")
    assert (status, given["balance"]) == (200, 150)
    assert "Отзыв" in str(given["transaction"])
    assert tell(api, card, "review") == (200, given)
    assert tell(api, card, "review", "another")[1]["balance"] == 200


def test_unknown_events_are_named(api: Api) -> None:
    """Also where there are no rules at all."""
    card = api.member()["card"]["id"]
    assert tell(api, card, "review")[0] == 404
    publish(api)
    status, answer = tell(api, card, "quiz")
    assert (status, answer["code"]) == (404, "not_found")
    assert "quiz" in str(answer["detail"])
