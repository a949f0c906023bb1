"""Vera joins, earns now and for later, spends, returns a part, and dines at the hotel."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from walletsvc.cli.demo.story.stage import Stage, expect
from walletsvc.cli.ledger.tables import columns
from walletsvc.core.clock import rfc3339


@dataclass(frozen=True)
class Guest:
    """A card, its object in Google Wallet, and the phone number behind it."""

    card_id: str
    object_id: str
    phone_number: str
    last_name: str


def joins(stage: Stage) -> Guest:
    """A new guest, whose phones take the card."""
    number, last_name = f"+7900{secrets.randbelow(10**7):07d}", f"Ильина-{secrets.token_hex(2)}"
    member = register(stage, "Вера", last_name, number)
    stage.say(f"Vera joins at the till: card {member['card']['number']}")
    stage.hers.add(member["apple_url"])
    stage.say("her phone downloads the pass, verifies every hash and the signature, registers")
    object_id = stage.android.add(member["page_url"]).object_id
    stage.say("her Android phone opens the card's page, presses the button, adds it at “Google”")
    return Guest(member["card"]["id"], object_id, number, last_name)


def register(stage: Stage, first_name: str, last_name: str, number: str) -> dict[str, Any]:
    """A new member of the chain's club."""
    return stage.tills.first.post(
        "/members",
        {
            "programme": stage.shop.loyalty.slug,
            "phone": number,
            "first_name": first_name,
            "last_name": last_name,
        },
    )


def earns(stage: Stage, vera: Guest) -> None:
    """Points for a year, points for a few days, points for later."""
    path, till = f"/cards/{vera.card_id}/adjustments", stage.tills.first
    body = {"amount": 150, "reason": "A breakfast", "expires_on": str(stage.day(365))}
    google = vera.object_id
    what = "a purchase earns 150 points"
    stage.follow(what, (till, path, body), "points", 150, google=google)
    soon = str(stage.day(5))
    body = {"amount": 40, "reason": "Bakery week", "expires_on": soon, "promotional": True}
    what = f"40 more for bakery week, until {soon}"
    stage.follow(what, (till, path, body), "points", 190, google=google)
    starts = stage.installation.clock() + timedelta(days=14)
    promised = till.post(
        path,
        {
            "amount": 200,
            "reason": "A cake to order",
            "available_from": rfc3339(starts),
            "expires_on": str(stage.day(74)),
        },
    )
    expect(promised["balance"] == 190, "Points for later are in the balance already.")
    stage.say(f"a cake earns 200 that are hers from {starts:%Y-%m-%d} on: the balance stays 190")


def spends_and_returns(stage: Stage, vera: Guest) -> None:
    """Points that end soonest pay; what is returned goes back to them, dates unchanged."""
    till = stage.tills.first
    before = _ends(explanation(stage, vera))
    paid = stage.follow(
        "she pays 60 points for croissants, the soonest-ending first",
        (till, f"/cards/{vera.card_id}/adjustments", {"amount": -60, "reason": "Croissants"}),
        "points",
        130,
        google=vera.object_id,
    )
    undone = stage.follow(
        "one croissant is returned, 25 points of the 60",
        (
            till,
            f"/transactions/{paid['transaction']['id']}/reversals",
            {"amount": 25, "reason": "One croissant came back"},
        ),
        "points",
        155,
        google=vera.object_id,
    )
    expect(undone["reversible"] == 35, "Not 35 points are left to return.")
    found = explanation(stage, vera)
    after = _ends(found)
    expect(after.items() <= before.items(), "Returned points changed their dates.")
    stage.say("why she has 155 points: every lot ends when it always did")
    stage.show(_lots(stage, found))


def dines_at_the_hotel(stage: Stage, vera: Guest) -> None:
    """Another organisation reserves her points, and takes a part of what it reserved."""
    hotel = stage.tills.hotel
    body = {"card_id": vera.card_id, "amount": 100, "seconds": 3600, "reason": "Dinner"}
    held = hotel.post("/holds", body)
    expect(held["available"] == 55, "What is held can be spent.")
    problem = stage.tills.second.refused(
        f"/cards/{vera.card_id}/adjustments", {"amount": -60, "reason": "Coffee for all"}
    )
    expect(problem.get("available") == 55, f"Held points were not refused: {problem}")
    stage.say(
        "the hotel next door holds 100 points before dinner: at the till 60 are refused, 55 are"
        " free"
    )
    taken = stage.follow(
        "the bill takes 70 of them and releases 30",
        (hotel, f"/holds/{held['hold']['id']}/capture", {"amount": 70}),
        "points",
        85,
        google=vera.object_id,
    )
    expect(taken["hold"]["captured"] == 70, "Not 70 points were captured.")


def explanation(stage: Stage, guest: Guest) -> dict[str, Any]:
    """Why the balance is what it is."""
    return stage.tills.office.get(f"/cards/{guest.card_id}/explanation")


def _ends(found: dict[str, Any]) -> dict[str, str | None]:
    return {lot["transaction"]: lot["expires_at"] for lot in (*found["lots"], *found["future"])}


def _lots(stage: Stage, found: dict[str, Any]) -> list[str]:
    rows = [("left", "of", "until", "from", "for")]
    rows += [
        (
            str(lot["remaining"]),
            str(lot["original"]),
            stage.last_day(lot["expires_at"]),
            lot["available_from"][:10] if lot in found["future"] else "now",
            lot["reason"],
        )
        for lot in (*found["lots"], *found["future"])
    ]
    return list(columns(rows, "rr"))
