"""Rules at work: a bill explained line by line, a tier reached, the receipt, a draft rehearsed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from walletsvc.cli.demo.book import DRAFT
from walletsvc.cli.demo.story.points import register
from walletsvc.cli.demo.story.stage import PATIENCE_SECONDS, Stage, StoryError, expect
from walletsvc.cli.ledger.tables import columns
from walletsvc.core.money import decimal_text

_LOOK_SECONDS: Final = 0.1
_BANQUET: Final = {"item": "banquet", "group": "kitchen", "name": "Banquet"}


@dataclass(frozen=True)
class Buyer:
    """A card and its number."""

    card_id: str
    number: str


def explains_a_bill(stage: Stage) -> Buyer:
    """A new guest is scanned; the quote says what each item brings, and why."""
    till = stage.tills.first
    member = register(stage, "Надя", f"Орлова-{secrets.token_hex(2)}", _phone())
    stage.hers.add(member["apple_url"])
    nadia = Buyer(member["card"]["id"], member["card"]["number"])
    seen = till.post("/scans", {"text": nadia.number})
    expect(seen["tier"]["code"] == "guest", f"Nadia is not a guest: {seen['tier']}")
    bill = {
        "card_id": nadia.card_id,
        "lines": [
            _line("cappuccino", "drinks", "Cappuccino", 50_000),
            _line("honey-cake", "cakes", "Honey cake", 40_000),
            _line("newspaper", "press", "Newspaper", 10_000),
        ],
    }
    quote = till.post("/quotes?language=en", bill)
    expect(quote["earned"] == 65, f"The bill earns {quote['earned']}, not 65.")
    stage.say("the till scans Nadia's card and asks what a bill of 1,000.00 would bring: 65, for")
    stage.show(each["text"] for each in quote["explanation"])
    return nadia


def reaches_a_tier(stage: Stage, nadia: Buyer) -> None:
    """A large bill: the tier is reached at once, the receipt is printed, the phone follows."""
    body = {
        "source": "demo",
        "external_id": secrets.token_hex(6),
        "card_id": nadia.card_id,
        "lines": [{**_BANQUET, "sum": _money(540_000)}],
    }
    sold = stage.follow(
        "a banquet for 5,400.00 makes Nadia a Friend",
        (stage.tills.first, "/purchases?language=en&width=32", body),
        "points",
        270,
    )
    tiers = (sold["tier"], sold["tier_after"])
    expect(tiers == ("guest", "friend"), f"The tiers are {tiers}.")
    stage.say("what the till prints")
    stage.show(sold["receipt"]["text"].splitlines())
    again = stage.tills.first.post("/quotes", {"card_id": nadia.card_id, "total": _money(100_000)})
    expect(again["earned"] == 70, f"A Friend earns {again['earned']} of 1,000.00, not 70.")


def rehearses(stage: Stage) -> None:
    """Other rules, tried on ninety days of purchases before anybody earns by them."""
    office, programme = stage.tills.office, stage.shop.loyalty
    path = f"/programmes/{programme.slug}/rules"
    saved = office.put(f"{path}/draft", {"rules": DRAFT, "note": "Cheaper coffee, fewer points"})
    period = {"from": str(stage.day(-90)), "until": str(stage.day(0))}
    begun = office.post(f"{path}/rehearsals", period)
    found = _done(stage, f"{path}/rehearsals/{begun['id']}")
    result = found["result"]
    totals = result["totals"]
    expect(result["winners"] > 0 < result["losers"], f"Nobody wins or nobody loses: {result}")
    expect(totals["discount_after"] > 0, "The draft gives no discount.")
    expect(not found["of_older_draft"], "The draft changed meanwhile.")
    stage.say(
        f"version {saved['number']} of the rules, a draft, is tried on {totals['purchases']}"
        f" purchases of ninety days: {result['winners']} cards gain"
        f" {decimal_text(result['won'], 2)} RUB, {result['losers']} lose"
        f" {decimal_text(result['lost'], 2)}"
    )
    rows: list[tuple[str, ...]] = [("", "before", "after", "more")]
    for name, key, scale in (
        ("cost, RUB", "cost", 2),
        ("points earned", "earned", 0),
        ("discounts, RUB", "discount", 2),
    ):
        before, after = totals[f"{key}_before"], totals[f"{key}_after"]
        amounts = (before, after, after - before)
        rows.append((name, *(decimal_text(amount, scale) for amount in amounts)))
    stage.show(columns(rows, " rrr"))


def _done(stage: Stage, path: str) -> dict[str, Any]:
    """The rehearsal, once the worker has done it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = stage.tills.office.get(path)
        if found["result"] is not None:
            return found
        time.sleep(_LOOK_SECONDS)
    raise StoryError(f"The rehearsal is not done: {found['job']['words']}")


def _line(item: str, group: str, name: str, amount: int) -> dict[str, Any]:
    return {"item": item, "group": group, "name": name, "sum": _money(amount)}


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


def _phone() -> str:
    return f"+7900{secrets.randbelow(10**7):07d}"
