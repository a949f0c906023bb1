"""Gift certificates: bought, spent in three places, refunded in part, given, expired."""

from __future__ import annotations

from typing import Any

from walletsvc.cli.demo.shop import examples
from walletsvc.cli.demo.story.stage import Stage, Till, expect
from walletsvc.cli.ledger.tables import columns
from walletsvc.core.money import decimal_text

CURRENCY_SCALE = 2


def receives_and_spends(stage: Stage) -> None:
    """Bought at one branch, spent at another and at the hotel, which gives a part back."""
    tills = stage.tills
    issued = tills.first.post(
        "/certificates",
        {
            "programme": stage.shop.gift.slug,
            "amount": 300_000,
            "recipient_name": "Вера Ильина",
            "expires_on": str(stage.day(365)),
        },
    )
    links = issued["certificate"]["links"]
    stage.hers.add(links["apple_url"])
    google = stage.android.add(links["page_url"]).object_id
    stage.say("a gift certificate for 3,000.00 RUB is bought at one branch and added on both")

    certificate = look_up(tills.second, issued["code"])
    path = f"/certificates/{certificate['id']}"
    body: dict[str, Any] = {"amount": 84_050, "reason": "Receipt 1042"}
    stage.follow(
        "another branch reads the code and takes 840.50",
        (tills.second, f"{path}/redemptions", body),
        "balance",
        2159.50,
        google=google,
    )
    certificate = look_up(tills.hotel, issued["code"])
    body = {"amount": 120_000, "reason": "Receipt 77"}
    dinner = stage.follow(
        "the hotel, which accepts it, takes 1,200.00",
        (tills.hotel, f"{path}/redemptions", body),
        "balance",
        959.50,
        google=google,
    )
    body = {
        "transaction_id": dinner["transaction"]["id"],
        "amount": 30_000,
        "reason": "No dessert",
    }
    stage.follow(
        "300.00 of that are refunded",
        (tills.hotel, f"{path}/refunds", body),
        "balance",
        1259.50,
        google=google,
    )
    _explains(stage, path)


def _explains(stage: Stage, path: str) -> None:
    found = stage.tills.office.get(f"{path}/explanation")
    parts = found["parts"]
    expect(sum(part["amount"] for part in parts) == 125_950, f"The parts do not add up: {parts}")
    stage.say(f"why there are {money(found['balance'])} RUB left on it")
    rows = [(part["kind"].replace("_", " "), money(part["amount"])) for part in parts]
    stage.show(columns(rows, " r"))


def is_given(stage: Stage) -> None:
    """The house gives one away: nobody paid, so nothing can be paid out."""
    issued = stage.tills.office.post(
        "/certificates",
        {
            "programme": stage.shop.gift.slug,
            "amount": 50_000,
            "origin": "free",
            "reason": "A spilled cappuccino",
            "expires_on": str(stage.day(90)),
        },
    )
    path = f"/certificates/{issued['certificate']['id']}/payout"
    problem = stage.tills.office.refused(path, {"reason": "Please"})
    expect(problem["code"] == "refused", f"A free certificate was not refused: {problem}")
    stage.say("a free one of 500.00 RUB is given for a spilled cappuccino: it is never paid out")


def comes_too_late(stage: Stage) -> None:
    """An expired certificate cannot be spent; what was paid for it is owed."""
    with stage.installation.database.read_tx() as session:
        code = examples(session, stage.shop).expired.code
    found = look_up(stage.tills.second, code)
    expect(found["state"] == "expired", f"The certificate is {found['state']}, not expired.")
    problem = stage.tills.second.refused(
        f"/certificates/{found['id']}/redemptions", {"amount": 10_000, "reason": "Receipt 1043"}
    )
    expect(problem["code"] == "certificate_expired", f"It was not refused: {problem}")
    stage.say(
        f"one that ended on {stage.last_day(found['expires_at'])} is refused at the till; its"
        f" {money(found['balance'])} RUB are still owed"
    )


def look_up(till: Till, code: str) -> dict[str, Any]:
    """The certificate with this code, typed as people type."""
    return till.post("/certificates/lookup", {"code": code.lower().replace("-", " ")})


def money(amount: int) -> str:
    """Minor units as people read them."""
    return decimal_text(amount, CURRENCY_SCALE)
