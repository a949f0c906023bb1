"""What is owed between the organisations and to the guests, and that all of it adds up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from walletsvc.app import LEDGER_CHECKS
from walletsvc.cli.demo.shop import HOTEL_SLUG, PARTNERS_FOR, SLUG
from walletsvc.cli.demo.story.stage import Stage, StoryError, Till, expect
from walletsvc.cli.ledger.tables import columns
from walletsvc.core.clock import rfc3339
from walletsvc.core.money import decimal_text
from walletsvc.ledger.verify import counts, differences


def between_organisations(stage: Stage) -> None:
    """Both sides read the same statement; the debt in money is paid."""
    ours, theirs = (_statements(stage, till) for till in (stage.tills.office, stage.tills.hotel))
    expect(
        {unit: each["closing"] for unit, each in ours.items()}
        == {unit: -each["closing"] for unit, each in theirs.items()},
        "The two organisations' statements differ.",
    )
    stage.say("what the chain owes the hotel; the hotel's statement is the same with minus signs")
    stage.show(_table(ours))
    owed = theirs["RUB"]["closing"]
    if owed < 0:
        body = {"debtor": SLUG, "unit": "RUB", "amount": -owed, "reason": "Payment order 18"}
        paid = stage.tills.hotel.post("/settlements", body)
        expect(paid["owed"] == 0, f"After the payment {paid['owed']} are owed.")
        stage.say(f"the chain pays {decimal_text(-owed, 2)} RUB, which the hotel writes down")


def liability(stage: Stage) -> None:
    """What the chain owes its guests, by the month in which it ends."""
    found = stage.tills.office.get("/liability")
    (points,), (gifts,) = found["points"], found["certificates"]
    stage.say(
        f"the chain owes {points['available']} points, {points['future']} more for later, and"
        f" {decimal_text(gifts['owed'], gifts['scale'])} RUB on {gifts['certificates']}"
        " certificates"
    )
    rows = [("end in", "available", "future")]
    rows += [
        (each["month"] or "without end", str(each["available"]), str(each["future"]))
        for each in points["months"]
    ]
    stage.show(columns(rows, " rr"))


def verification(stage: Stage) -> None:
    """As `walletsvc ledger verify` does: everything stored follows from the entries."""
    with stage.installation.database.read_tx() as session:
        difference = next(iter(differences(session, LEDGER_CHECKS)), None)
        seen = counts(session)
    if difference is not None:
        raise StoryError(f"The ledger does not add up: {difference}")
    stage.say(
        f"the books add up: no difference in {seen.accounts} accounts, {seen.transactions}"
        f" transactions, {seen.entries} entries, {seen.lots} lots"
    )


def _statements(stage: Stage, till: Till) -> dict[str, dict[str, Any]]:
    """By unit."""
    now = stage.installation.clock()
    other = HOTEL_SLUG if till is stage.tills.office else SLUG
    period = {"from": rfc3339(now - PARTNERS_FOR), "to": rfc3339(now + timedelta(minutes=1))}
    found = till.get("/statements", **period, **{"with": other})
    return {each["unit"]["code"]: each for each in found["items"]}


def _table(statements: dict[str, dict[str, Any]]) -> list[str]:
    rows = [("unit", "what", "whose", "times", "amount")]
    for unit, each in statements.items():
        scale = each["unit"]["scale"]
        rows += [
            (
                unit,
                movement["kind"].replace("_", " "),
                movement["organisation"],
                str(movement["count"]),
                decimal_text(movement["amount"], scale),
            )
            for movement in each["movements"]
        ]
        rows.append((unit, "owed", "", "", decimal_text(each["closing"], scale)))
    return list(columns(rows, "   rr"))
