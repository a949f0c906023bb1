"""What the holder sees: the balance and its reason, the code, purchases, gift cards."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.storefront.account.house import (
    OTHER_PHONE,
    PHONE,
    TILL,
    Browser,
    House,
    buy,
)
from walletsvc.cards.codes.models import CardSecret
from walletsvc.cards.codes.rules import code_of, step_at
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.certificates.keeping.models import KeptCertificate
from walletsvc.core.actor import OPERATOR
from walletsvc.enrolment.merging.service import merge
from walletsvc.ledger import service as ledger
from walletsvc.ledger.queries import explain
from walletsvc.people.models import Person
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.sales import refunding
from walletsvc.sales.sale import Caller, Reference, Return


@pytest.fixture
def holder(house: House, browser: Browser) -> Browser:
    """The holder, logged in, in English."""
    browser.log_in(house.past.card)
    browser.open(house.past.card, "?lang=en")
    return browser


# What is written in Latin letters in Russian too.
_NAMES = (
    r"Wallet|pkpass|SMS|QR|Apple|Google|https?\S*|nordshore\S*|\bru\b|\ben\b|English|Chrome|"
    r"cards\.\S+|cookie|e-mail|Werkzeug\S*"
)


def numbers(page: str, pattern: str) -> list[int]:
    return [int(re.sub(r"\D", "", found)) for found in re.findall(pattern, page)]


def test_the_balance_is_what_its_reasons_come_to(house: House, holder: Browser) -> None:
    """Each part with its source and dates, the soonest to end first; what is to come is apart."""
    why = holder.page.split('class="why"')[1].split("</details>")[0]
    parts = numbers(why.split('class="together"')[0], r"<li>\s*<b>([^<]*)</b>")
    total = numbers(holder.page, r'class="sum">([^<]*)<')[0]
    with house.database.read_tx() as session:
        there = explain(session, house.past.card.account_id).settled(house.now)
    assert sum(parts) == total == there.balance
    words = holder.words
    assert words.index("Birthday gift 15 November 2026") < words.index("Purchase 21 October 2026")
    assert "until 15 December 2026" in words
    assert "Next to expire: 200, after 15 December 2026" in words
    assert "Coming soon 75 Gift from the shop 19 November 2026 from 26 November 2026" in words
    assert "secret words" not in words


def test_what_ends_on_one_day_is_told_together(house: House, holder: Browser) -> None:
    """Whatever it came of, and at whatever hour of that day it ends."""
    with house.database.write_tx() as session:
        there = explain(session, house.past.card.account_id).settled(house.now)
        first = min(lot.expires_at for lot in there.lots if lot.expires_at)
        for amount, end in ((35, first), (6, first - timedelta(hours=3)), (9, None)):
            ledger.credit(
                session, house.past.card.account_id, amount, source="manual", actor=TILL,
                reason="x", now=house.now, expires_at=end,
            )  # fmt: skip
    holder.open(house.past.card)
    assert "Next to expire: 241, after 15 December 2026" in holder.words


def face_of(page: str) -> str:
    """The front of the card, without the reasons below it."""
    return page.split('class="why"')[0].split('class="sum"')[0]


def test_the_face_says_what_its_reasons_come_to(house: House, holder: Browser) -> None:
    """Also in the hour between the end of points, or their beginning, and the job: for who is
    logged in and for whoever has the link."""
    with house.database.read_tx() as session:
        there = explain(session, house.past.card.account_id)
    house.now += timedelta(days=26)  # 200 have ended, 75 have come, and no job has run
    settled = there.settled(house.now).balance
    assert settled != there.balance
    stranger = house.browser()
    for browser in (holder, stranger):
        browser.open(house.past.card, "?lang=en")
        shown = face_of(browser.page)
        assert f">{settled:,}<" in shown
        assert f">{there.balance:,}<" not in shown
    assert numbers(holder.page, r'class="sum">([^<]*)<')[0] == settled


def test_what_is_held_and_what_is_owed_are_told(house: House, holder: Browser) -> None:
    with house.database.write_tx() as session:
        ledger.hold(
            session, house.past.card.account_id, 50, acceptor_id=house.shop.organisation.id,
            actor=TILL, reason="x", now=house.now, expires_at=house.now + timedelta(minutes=15),
        )  # fmt: skip
        there = explain(session, house.past.card.account_id)
    holder.open(house.past.card)
    assert f"50 of it is reserved for a purchase that is not finished; {there.balance - 50}" in (
        holder.words.replace(",", "")
    )
    house.now += timedelta(minutes=16)  # it ran out, noted or not
    holder.open(house.past.card)
    assert "reserved" not in holder.words


def test_a_debt_has_its_reason(house: House, holder: Browser) -> None:
    """A balance below zero is not a mystery."""
    with house.database.write_tx() as session:
        account = house.past.card.account_id
        there = explain(session, account).settled(house.now).balance
        session.connection().exec_driver_sql(
            "UPDATE accounts SET min_balance = -1000 WHERE id = %s", (account,)
        )
        ledger.debit(session, account, there + 70, actor=TILL, reason="x", now=house.now)
    holder.open(house.past.card)
    assert "−70" in holder.words
    assert "spent before" in holder.words


def test_points_lead_to_the_receipt_they_came_of(house: House, holder: Browser) -> None:
    links = re.findall(r'href="(/c/[^"]*/purchases/\w+)">Purchase<', holder.page)
    assert links
    assert holder.get(links[0]).status_code == 200


def test_of_a_shared_balance_others_purchases_are_not_told(house: House, holder: Browser) -> None:
    """What the family earned is in the balance; what they bought is theirs."""
    theirs = house.member("Пётр", OTHER_PHONE)
    with house.database.write_tx() as session:
        mine = session.get_one(Card, house.past.card.id)
        other = session.get_one(Card, theirs.id)
        groups.share(session, other, mine, actor=OPERATOR, now=house.now)
        caller = Caller(house.shop.organisation.id, house.past.branch.id, TILL)
        purchase = buy(session, caller, other, 777_700, "secret", house.now)
    holder.open(house.past.card)
    assert "You share this balance with your family" in holder.words
    assert purchase.public_id not in holder.page
    holder.open(house.past.card, "/purchases")
    assert "7,777" not in holder.words
    assert holder.open(house.past.card, f"/purchases/{purchase.public_id}").status_code == 404


def test_the_level_and_the_way_to_the_next(house: House, holder: Browser) -> None:
    """The bar is as long as the way that is done."""
    percent = numbers(holder.page, r'class="way-up" max="100" value="(\d+)"')[0]
    assert "Friend" in holder.words
    missing = re.search(r"([\d,]+)(?:\.\d\d)? ?₽ more to “Family”|₽([\d,.]+) more to", holder.words)
    assert missing is not None
    rest = int(re.sub(r"\D", "", missing[1] or missing[2])) * 100
    assert percent == (2_500_000 - rest) // 25_000
    assert holder.words.count("more to “Family”") == 1


def test_the_level_is_in_the_language_of_the_page(house: House, holder: Browser) -> None:
    """What the card says of it is in the card's own, and is not said again beside the panel."""
    holder.open(house.past.card)
    assert "Своя семья" not in holder.words
    assert "Family" in holder.words


def dynamic(house: House, policy: CodePolicy = CodePolicy.TIME_BASED) -> None:
    with house.database.write_tx() as session:
        session.get_one(Programme, house.shop.points.id).code_policy = policy


def test_a_static_card_shows_its_number_and_no_script(house: House, holder: Browser) -> None:
    assert "<script" not in holder.page
    assert "http-equiv" not in holder.page
    answer = holder.client.get(f"/c/{house.past.card.link_token}/code.svg")
    assert answer.content_type.startswith("image/svg+xml")


@pytest.mark.parametrize("policy", [CodePolicy.TIME_BASED, CodePolicy.ROLLING])
def test_the_code_renews_itself(house: House, holder: Browser, policy: CodePolicy) -> None:
    """By the script while there is one, by loading anew where there is none; never later than the
    code lasts, and each code is that of its moment."""
    dynamic(house, policy)
    card, drawn = house.past.card, set()
    house.now += timedelta(seconds=10)
    answer = holder.open(card)
    assert re.search(r'<noscript><meta http-equiv="refresh" content="21"></noscript>', holder.page)
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert 'data-seconds="20.0"' in holder.page
    for _ in range(3):
        code = holder.client.get(f"/c/{card.link_token}/code.svg")
        drawn.add(code.data)
        assert code.headers["X-Code-Seconds"] == "20.0"
        house.now += timedelta(seconds=30)
    assert len(drawn) == 3
    with house.database.read_tx() as session:
        secret = session.get_one(CardSecret, card.id).secret
    from walletsvc.cards.codes.service import Shown
    from walletsvc.storefront.account.overview import drawing

    last = house.now - timedelta(seconds=30)
    text = card.number + code_of(secret, step_at(last))
    assert drawing(Shown(text, None)) == code.data


def test_whoever_has_the_link_sees_the_number_only(house: House, browser: Browser) -> None:
    """In a dynamic programme the page says what the code of the moment takes."""
    static = browser.open(house.past.card).text
    dynamic(house, CodePolicy.ROLLING)
    browser.open(house.past.card, "?lang=en")
    assert "To pay with points, log in" in browser.words
    assert re.findall(r'class="qr".*?</svg>', browser.page) == re.findall(
        r'class="qr".*?</svg>', static
    )


def test_a_closed_card_shows_no_code_but_its_past(house: House, holder: Browser) -> None:
    dynamic(house)
    with house.database.write_tx() as session:
        session.get_one(Card, house.past.card.id).closed_at = house.now
    holder.open(house.past.card)
    assert "This card is closed" in holder.words
    assert "code.svg" not in holder.page
    stranger = house.browser()
    stranger.get(f"/c/{house.past.card.link_token}?lang=en")
    assert "To pay with points" not in stranger.words
    assert holder.client.get(f"/c/{house.past.card.link_token}/code.svg").status_code == 401
    assert holder.open(house.past.card, "/purchases").status_code == 200


def test_purchases_at_all_organisations(house: House, holder: Browser) -> None:
    """Newest first, each with where, when in the branch's zone, what was paid, earned, spent."""
    holder.open(house.past.card, "/purchases")
    words = holder.words
    assert words.index("11 November 2026, 12:30") < words.index("21 October 2026, 14:30")
    assert "Книжный двор Екатеринбург, Малышева 21" in words
    assert "Северный берег Невский, 28 11" in words
    assert "−120" in words
    assert "partly returned" in words


def test_a_long_list_comes_in_pieces(house: House, holder: Browser) -> None:
    """All of it, nothing twice, also when somebody buys meanwhile."""
    caller = Caller(house.shop.organisation.id, house.past.branch.id, TILL)
    with house.database.write_tx() as session:
        for number in range(43):
            buy(session, caller, house.past.card, 10_000 + number, f"L{number}", house.now)
    address, seen = f"/c/{house.past.card.link_token}/purchases", []
    for piece in range(5):
        holder.get(address)
        seen += re.findall(r'class="row" href="[^"]*/purchases/(\w+)"', holder.page)
        more = re.search(r'href="([^"]*before=\w+)"', holder.page)
        if more is None:
            break
        address = more[1]
        with house.database.write_tx() as session:
            buy(session, caller, house.past.card, 5_000, f"M{piece}", house.now)
    assert len(seen) == len(set(seen)) == 47


def test_a_receipt_says_what_the_till_said(house: House, holder: Browser) -> None:
    """Items, sums, the block about the card, and what came back."""
    first, *_, last = house.past.purchases
    holder.open(house.past.card, f"/purchases/{first.public_id}")
    for words in ("Капучино 300 мл × 2", "Receipt 1041", "Points earned", "**** "):
        assert words in holder.words
    holder.open(house.past.card, f"/purchases/{last.public_id}")
    assert "Returned" in holder.words
    assert "260" in holder.words


def test_a_receipt_says_what_came_back_past_its_time(house: House, holder: Browser) -> None:
    """The holder sees why the balance is less than the receipt says."""
    [paid] = [each for each in house.past.purchases if each.paid_points]
    with house.database.write_tx() as session:
        organisation, branch = house.shop.organisation.id, house.past.branch.id
        refunding.refund(
            session, Caller(organisation, branch, TILL), paid.public_id,
            Reference("pos", "late"), Return(Returned(), "test"),
            house.now + timedelta(days=800),
        )  # fmt: skip
    holder.open(house.past.card, f"/purchases/{paid.public_id}")
    assert "Came back past its time and cannot be spent any more: 120 points" in holder.words


def test_a_corrected_purchase_is_not_listed(house: House, holder: Browser) -> None:
    holder.open(house.past.card, "/purchases")
    before = holder.page.count('class="row"')
    with house.database.write_tx() as session:
        session.connection().exec_driver_sql(
            "UPDATE purchases SET state = 'corrected' WHERE id = %s",
            (house.past.purchases[0].id,),
        )
    holder.open(house.past.card, "/purchases")
    assert holder.page.count('class="row"') == before - 1


@pytest.mark.parametrize("name", ["0" * 20, "nonsense", "%00", "1' OR '1"])
def test_an_unknown_purchase_is_not_found(house: House, holder: Browser, name: str) -> None:
    assert holder.open(house.past.card, f"/purchases/{name}").status_code == 404
    if "%" not in name:
        assert holder.open(house.past.card, f"/purchases?before={name}").status_code == 404


def test_others_cards_and_purchases_are_nobodys_business(house: House, holder: Browser) -> None:
    """Somebody else's purchase is not found under one's own address."""
    theirs = house.member("Вера", OTHER_PHONE)
    stranger = house.browser()
    stranger.log_in(theirs, OTHER_PHONE)
    purchase = house.past.purchases[0].public_id
    assert stranger.open(theirs, f"/purchases/{purchase}").status_code == 404
    assert stranger.open(theirs, f"/purchases?before={purchase}").status_code == 404


def test_a_gift_card_is_added_by_its_code(house: House, holder: Browser) -> None:
    """It shows what is left, leads to its page, is there once, and can go again."""
    card, gift = house.past.card, house.past.certificate
    holder.open(card, "/certificates")
    assert "You have no gift cards here yet" in holder.words
    for _ in range(2):
        holder.post(f"/c/{card.link_token}/certificates", code=f" {gift.code.lower()} ")
        assert "The gift card is with your card now" in holder.words
    assert house.count(KeptCertificate) == 1
    assert "3,000" in holder.words
    assert f'href="/c/{gift.link_token}"' in holder.page
    assert gift.code not in holder.page
    holder.post(f"/c/{card.link_token}/certificates/remove", certificate=gift.public_id)
    assert house.count(KeptCertificate) == 0


def test_codes_of_gift_cards_are_not_found_by_trying(house: House, holder: Browser) -> None:
    card = house.past.card
    holder.open(card, "/certificates")
    address = f"/c/{card.link_token}/certificates"
    answers = [holder.post(address, code=f"WRONG{n}").status_code for n in range(11)]
    assert answers == [400] * 10 + [429]
    assert holder.post(address, code=house.past.certificate.code).status_code == 429
    assert house.count(KeptCertificate) == 0


def test_gift_cards_of_two_rows_of_one_person_come_together(house: House, holder: Browser) -> None:
    card = house.past.card
    holder.open(card, "/certificates")
    holder.post(f"/c/{card.link_token}/certificates", code=house.past.certificate.code)
    kept = house.member("Анна", OTHER_PHONE, "Соколова")
    with house.database.write_tx() as session:
        people = [session.get_one(Person, each.person_id) for each in (kept, card)]
        merge(session, people[0], people[1], reason="x", actor=OPERATOR, now=house.now)
        assert session.exec(select(KeptCertificate.person_id)).one() == kept.person_id


def test_other_cards_of_the_holder_are_one_step_away(house: House, holder: Browser) -> None:
    """Other people's cards with the same phone are not."""
    house.member("Пётр", PHONE)
    holder.open(house.past.card)
    assert "My other cards" not in holder.words


def test_everything_is_in_russian_too(house: House, holder: Browser) -> None:
    """No English word is left over."""
    for page in ("", "/purchases", "/certificates", "/settings", "/phone"):
        holder.open(house.past.card, f"{page}?lang=ru")
        words = re.sub(_NAMES, "", holder.words)
        assert re.findall(r"\b[A-Za-z]{3,}\b", words) == [], page
