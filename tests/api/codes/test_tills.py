"""Codes of the moment at tills, through HTTP: scan, quote, hold, purchase."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select, update

from tests.api.codes.till import Till, codes, hold, problem
from tests.api.conftest import Api
from tests.api.holding import accept
from tests.api.selling import money, send
from tests.certificates.shop import gift_programme
from walletsvc.cards.codes.models import CardSecret, Presentation
from walletsvc.cards.models import Card
from walletsvc.core.ids import public_id
from walletsvc.merchants.service import create_branch
from walletsvc.people.models import Person


def test_the_number_earns_and_does_not_spend(till: Till) -> None:
    """No discount, no points, no hold; the quote says the same as the purchase."""
    seen = till.scan(till.number)
    assert (seen["problems"], seen["presentation"]) == ([], None)
    assert seen["notes"][0]["code"] == "presence_required"
    assert "send a code by SMS" in seen["notes"][0]["text"]
    assert "отправьте код по SMS" in till.scan(till.number, language="ru")["notes"][0]["text"]
    for answer in (till.quote(), till.buy()):
        said = answer.get_json()
        assert (said["discount"]["amount"], said["earned"]) == (0, 10)
        assert codes(answer)[0] == "presence_required"
        assert "discount" not in codes(answer)
    assert till.quote().get_json()["most_points"] == 0
    for call in (till.quote, till.buy):
        assert problem(call(points=10)) == (422, "presence_required", "missing")
    held = send(till.api, "/holds", hold(till))
    assert problem(held) == (422, "presence_required", "missing")


def test_a_code_brings_the_discount_and_spends_once(till: Till) -> None:
    """A quote uses nothing up; a second sale finds it used; the same report is the same sale."""
    seen = till.scan(till.page())
    assert (seen["problems"], seen["notes"]) == ([], [])
    shown = {"presentation": seen["presentation"], "points": 40}
    quote = till.quote(**shown)
    assert quote.get_json()["discount"] == money(20_00)
    made = till.buy(external_id="4711", **shown)
    assert made.status_code == 201, made.text
    assert (made.get_json()["discount"], made.get_json()["points"]) == (money(20_00), 40)
    assert "presence_required" not in codes(made)
    again = till.buy(external_id="4711", **shown)
    assert (again.status_code, again.get_json()["repeated"]) == (201, True)
    assert problem(till.buy(**shown)) == (422, "presence_required", "used")
    assert problem(till.quote(**shown)) == (422, "presence_required", "used")
    with till.api.database.read_tx() as session:
        found = session.exec(select(Presentation)).one()
    assert found.used_for == f"purchase {made.get_json()['id']}"


def test_a_dry_run_and_a_refused_sale_use_nothing_up(till: Till) -> None:
    """What was rolled back was not."""
    shown = {"presentation": till.scan(till.page())["presentation"]}
    body = till.bill(external_id="1", **shown)
    assert send(till.api, "/purchases?dry_run=true", body).status_code == 201
    assert problem(till.buy(points=5_000, **shown))[:2] == (422, "refused")
    assert till.buy(**shown).status_code == 201


def test_a_lost_answer_is_asked_for_again(till: Till) -> None:
    """The same key gets the same presentation while it is good; after the sale the code is used."""
    code = till.page()
    first = till.scan(code)
    assert till.scan(code)["presentation"] == first["presentation"]
    assert till.buy(presentation=first["presentation"]).status_code == 201
    used = till.scan(code)
    assert (used["problems"], used["presentation"], used["available"]) == (["code_used"], None, 0)
    assert used["notes"][-1]["text"].startswith("This code has been used already")


def test_a_replay_at_another_till(till: Till) -> None:
    """Whichever till was second is refused, bought or not; the next code is good there."""
    other = till.api.key()
    code = till.page()
    assert till.scan(code)["presentation"]
    assert till.scan(code, secret=other)["problems"] == ["code_used"]
    till.wait(30)
    assert till.scan(code, secret=other)["problems"] == ["code_used"]
    assert till.scan(till.page(), secret=other)["presentation"]
    # An older one that was never shown is over too, within the drift or not.
    assert till.scan(code)["problems"] == ["code_old"]


def test_a_screenshot_and_a_wrong_clock(till: Till) -> None:
    """One step of drift either way, and no more; each with its own words."""
    code = till.page()
    till.wait(60)
    assert till.scan(code)["problems"] == ["code_expired"]
    till.wait(-120)
    assert till.scan(code)["problems"] == ["code_ahead"]
    till.wait(30)
    assert till.scan(code)["presentation"]


@pytest.mark.parametrize("policy", ["time_based", "rolling"])
def test_the_number_leads_to_no_code(api: Api, policy: str) -> None:
    """A till that knows a number gets no address that shows the code: neither by scanning, with
    the code or without, nor by reading the card. Who keeps the members does."""
    till = Till(api, policy)
    for text in (till.number, till.page()):
        assert till.scan(text)["card"]["links"] is None
    path = f"/cards/{till.card}"
    for secret in (
        api.key(),
        api.key("cards:read", branch_id=api.branch.id),
        api.key("cards:read", "sales:write"),
        api.key("cards:read", "holds:write"),
    ):
        read = api.call("GET", path, secret=secret).get_json()
        assert (read["id"], read["links"]) == (till.card, None)
    links = api.call("GET", path, secret=api.key("cards:read")).get_json()["links"]
    assert links["apple_url"].endswith(".pkpass")
    till.switch("static")
    assert till.scan(till.number)["card"]["links"] == links
    assert api.call("GET", path).get_json()["links"] == links


def test_a_partner_gets_no_links(api: Api) -> None:
    """They show more of the holder than whoever accepts the card needs."""
    till = Till(api, "static")
    partner = accept(api)
    seen = till.scan(till.number, secret=partner)
    assert (seen["card"]["id"], seen["card"]["links"]) == (till.card, None)


def test_guessing_ends(till: Till) -> None:
    """After ten wrong codes even the right one waits, for ten minutes."""
    for _ in range(10):
        assert till.scan(till.number + "00000000")["problems"] == ["code_wrong"]
    assert till.scan(till.page())["problems"] == ["code_wrong"]
    till.wait(600)
    assert till.scan(till.page())["problems"] == []


def test_a_merged_cards_codes_are_no_guesses_at_the_one_it_is_part_of(till: Till) -> None:
    """The phone that still shows it counts as its number, however often."""
    other = till.api.member(phone="+79000007777")
    old = other["card"]["number"]
    with till.api.database.read_tx() as session:
        kept = session.exec(select(Person.public_id).join(Card).where(Card.public_id == till.card))
        path = f"/persons/{kept.one()}/merges"
    merged = send(till.api, path, {"person": other["person"]["id"], "reason": "One person"})
    assert merged.status_code == 201, merged.text
    for _ in range(11):
        found = till.scan(old + "00000000")
        assert (found["card"]["id"], found["problems"]) == (till.card, [])
        assert found["presentation"] is None
    assert till.scan(till.page())["presentation"]


def test_a_presentation_is_over_after_ten_minutes(till: Till) -> None:
    """By the time of the sale: one that a till reports late was in time."""
    at = till.api.now
    shown = {"presentation": till.scan(till.page())["presentation"]}
    till.wait(600)
    assert problem(till.buy(**shown)) == (422, "presence_required", "expired")
    late = till.buy(at=(at + timedelta(minutes=1)).isoformat(), **shown)
    assert (late.status_code, late.get_json()["discount"]) == (201, money(20_00))


def test_a_presentation_of_somebody_else(till: Till) -> None:
    """Of another card, organisation or branch, or none: names the field."""
    shown = till.scan(till.page())["presentation"]
    other = till.api.member(phone="+79000000002", first_name="Пётр")["card"]["id"]
    with till.api.database.write_tx() as session:
        session.execute(update(Presentation).values(branch_id=till.api.branch.id))
    stranger = till.api.key(branch_id=None)
    assert till.buy(presentation=shown, card_id=other).get_json()["errors"][0] == {
        "field": "presentation",
        "message": "is not a presentation of this card here",
        "code": "unknown",
    }
    for bad in ("x", public_id()):
        assert problem(till.buy(presentation=bad))[:2] == (400, "invalid_input")
    assert problem(till.buy(presentation=shown, card_id=None))[:2] == (400, "invalid_input")
    # A key without a branch speaks for all of them.
    assert till.api.call(
        "POST", "/quotes", json=till.bill(presentation=shown), secret=stranger
    ).status_code == 200  # fmt: skip


def test_another_branch_cannot_use_it(till: Till) -> None:
    """What was shown at one branch is for that one."""
    with till.api.database.write_tx() as session:
        other = create_branch(
            session, organisation_id=till.api.shop.organisation.id, name="Вторая", now=till.api.now
        )
    here, there = (till.api.key(branch_id=each) for each in (till.api.branch.id, other.id))
    shown = till.scan(till.page(), secret=here)["presentation"]
    body = till.bill(presentation=shown, points=10)
    answers = [
        till.api.call("POST", "/quotes", json=body, secret=secret).status_code
        for secret in (there, here)
    ]
    assert answers == [400, 200]


def test_a_hold_then_the_purchase(till: Till) -> None:
    """The hold uses it up; what is held pays, and brings the discount, without another."""
    shown = till.scan(till.page())["presentation"]
    held = send(till.api, "/holds", hold(till, presentation=shown))
    assert held.status_code == 201, held.text
    refused = send(till.api, "/holds", hold(till, presentation=shown))
    assert problem(refused) == (422, "presence_required", "used")
    id_ = held.get_json()["hold"]["id"]
    # A hold from which nothing is taken shows nothing: it would go on for ever.
    assert till.quote(hold_id=id_, points=0).get_json()["discount"] == money(0)
    made = till.buy(hold_id=id_)
    assert made.status_code == 201, made.text
    assert (made.get_json()["points"], made.get_json()["discount"]) == (10, money(20_00))
    with_gift = {"certificate_id": public_id(), "amount": 10, "seconds": 900, "reason": "x"}
    refused = send(till.api, "/holds", with_gift | {"presentation": shown})
    assert problem(refused)[:2] == (400, "invalid_input")


def test_a_hold_that_fails_uses_nothing_up(till: Till) -> None:
    """More than there is."""
    shown = till.scan(till.page())["presentation"]
    failed = send(till.api, "/holds", hold(till, presentation=shown) | {"amount": 5_000})
    assert problem(failed)[:2] == (422, "insufficient_funds")
    assert till.buy(presentation=shown, points=10).status_code == 201


def test_refunds_and_corrections_ask_for_nothing(till: Till) -> None:
    """A correction has the discount if the purchase had it, and may spend as much."""
    shown = till.scan(till.page())["presentation"]
    made = till.buy(presentation=shown, points=40).get_json()
    path = f"/purchases/{made['id']}/corrections"
    body = till.bill(external_id="K-1", reason="test", points=20)
    corrected = send(till.api, path, body)
    assert corrected.status_code == 201, corrected.text
    assert (corrected.get_json()["discount"], corrected.get_json()["points"]) == (money(20_00), 20)
    back = send(
        till.api, f"/purchases/{corrected.get_json()['id']}/refunds",
        {"external_id": "B-1", "reason": "test"},
    )  # fmt: skip
    assert back.status_code == 201, back.text
    plain = till.buy().get_json()
    path = f"/purchases/{plain['id']}/corrections"
    corrected = send(till.api, path, till.bill(external_id="K-2", reason="test"))
    assert corrected.status_code == 201, corrected.text
    assert (corrected.get_json()["discount"], corrected.get_json()["points"]) == (money(0), 0)


@pytest.mark.parametrize("whose", ["nobody", "another", "same", "shown"])
def test_a_correction_spends_no_more_than_the_same_card_did(till: Till, whose: str) -> None:
    """Otherwise whoever knows a number spends by correcting a purchase of anybody."""
    other = till.api.member(phone="+79000000002", first_name="Пётр")["card"]["id"]
    assert till.api.adjust(other, 1000).status_code == 200
    shown = {"presentation": till.scan(till.page())["presentation"], "points": 20}
    old = {
        "nobody": lambda: till.buy(card_id=None),
        "another": lambda: till.buy(**shown),
        "same": lambda: till.buy(),
        "shown": lambda: till.buy(**shown),
    }[whose]().get_json()
    card = other if whose == "another" else till.card
    till.wait(3600)
    path = f"/purchases/{old['id']}/corrections"
    body = till.bill(card_id=card, reason="test")
    most = 20 if whose == "shown" else 0
    refused = send(till.api, path, body | {"external_id": "K-1", "points": most + 1})
    assert problem(refused) == (422, "presence_required", "missing")
    if card == till.card:
        # The holder is there once more: by the time of now, whenever the purchase was.
        more = {"presentation": till.scan(till.page())["presentation"], "points": 40}
        made = send(till.api, path, body | {"external_id": "K-1"} | more)
        assert (made.status_code, made.get_json()["points"]) == (201, 40)
    else:
        made = send(till.api, path, body | {"external_id": "K-1", "points": most})
        assert (made.status_code, made.get_json()["discount"]) == (201, money(0))


def test_static_again(till: Till) -> None:
    """The number is enough; a code behind it hurts nobody, nor does a presentation."""
    shown = till.scan(till.page())["presentation"]
    code = till.page()
    assert till.switch("static")["job"]
    assert till.switch("static")["job"] is None
    seen = till.scan(code)
    assert (seen["problems"], seen["notes"], seen["presentation"]) == ([], [], None)
    assert till.page() == till.number
    assert till.buy(points=40).get_json()["discount"] == money(20_00)
    assert till.buy(points=40, presentation=shown).status_code == 201


def test_a_closed_card_or_branch_takes_no_code(till: Till) -> None:
    """The code is still good when the branch is on again."""
    code = till.page()
    with till.api.database.write_tx() as session:
        session.execute(update(Card).values(closed_at=till.api.now))
    assert till.scan(code)["problems"] == ["card_closed"]
    with till.api.database.write_tx() as session:
        session.execute(update(Card).values(closed_at=None))
    assert till.scan(code)["presentation"]


def test_a_code_shows_nobody_at_a_sale_before_it(till: Till) -> None:
    """The clock of a till may be behind by minutes, not by hours."""
    at = till.api.now
    till.wait(3600)
    shown = {"presentation": till.scan(till.page())["presentation"], "points": 40}
    refused = till.buy(at=at.isoformat(), **shown)
    assert problem(refused) == (422, "presence_required", "missing")
    behind = (till.api.now - timedelta(minutes=9)).isoformat()
    assert till.buy(at=behind, **shown).status_code == 201


def test_a_card_from_before(api: Api) -> None:
    """A card that was issued without gets its secret when the page or a scan first wants it."""
    till = Till(api, "static")
    with api.database.read_tx() as session:
        assert session.exec(select(CardSecret)).all() == []
    till.switch("time_based")
    assert till.scan(till.number + "12345678")["problems"] == ["code_wrong"]
    assert till.scan(till.page())["presentation"]


def test_certificates_have_codes_of_their_own(api: Api) -> None:
    """Neither a gift programme can be switched, nor another's, nor to a policy that is none."""
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, api.now)
    change = {"code_policy": "rolling"}
    assert problem(api.call("PATCH", "/programmes/gift", json=change))[:2] == (422, "refused")
    assert api.call("PATCH", "/programmes/other", json=change).status_code == 404
    bad = api.call("PATCH", "/programmes/shop", json={"code_policy": "sometimes"})
    assert bad.get_json()["errors"][0]["field"] == "code_policy"
