"""A family shares one account: each with a card of their own, both phones follow."""

from __future__ import annotations

import secrets

from walletsvc.cli.demo.story.points import Guest, register
from walletsvc.cli.demo.story.stage import Stage, expect
from walletsvc.cli.ledger.tables import columns


def shares(stage: Stage, vera: Guest) -> None:
    """The daughter, who has Vera's phone, and the husband, who has his own, join with codes."""
    till = stage.tills.first
    mila = register(stage, "Мила", vera.last_name, vera.phone_number)
    stage.hers.add(mila["apple_url"])
    oleg = register(stage, "Олег", vera.last_name, f"+7900{secrets.randbelow(10**7):07d}")
    stage.his.add(oleg["apple_url"])
    for guest, amount in ((mila, 100), (oleg, 70)):
        path = f"/cards/{guest['card']['id']}/adjustments"
        till.post(path, {"amount": amount, "reason": "Welcome", "expires_on": str(stage.day(60))})
    stage.wait(stage.hers, "points", 100)
    stage.wait(stage.his, "points", 70)
    stage.say("her daughter gets a card in Vera's phone, her husband one in his: 85, 100, 70")

    pushes = stage.hers.pushes_received
    stage.follow(
        "the daughter joins Vera with a code, both cards show one balance",
        (till, f"/cards/{mila['card']['id']}/group", {"code": _invitation(stage, vera)}),
        "points",
        185,
        passes=2,
        google=vera.object_id,
    )
    # Two passes of one phone in one breath: it is told once.
    told = stage.hers.pushes_received - pushes
    expect(told == 1, f"Two changes in one breath were {told} pushes, not one.")
    stage.follow(
        "the husband joins with another code",
        (till, f"/cards/{oleg['card']['id']}/group", {"code": _invitation(stage, vera)}),
        "points",
        255,
        passes=2,
        google=vera.object_id,
    )
    stage.wait(stage.his, "points", 255)
    stage.follow(
        "he pays 120 points for a dinner, and Vera's phone knows",
        (till, f"/cards/{oleg['card']['id']}/adjustments", {"amount": -120, "reason": "Dinner"}),
        "points",
        135,
        passes=2,
        google=vera.object_id,
    )
    stage.wait(stage.his, "points", 135)
    _who_did_what(stage, vera)


def _invitation(stage: Stage, vera: Guest) -> str:
    made = stage.tills.first.post(f"/cards/{vera.card_id}/group-invitations")
    return str(made["code"])


def _who_did_what(stage: Stage, vera: Guest) -> None:
    group = stage.tills.office.get(f"/cards/{vera.card_id}/group")
    members = group["members"]
    expect(
        [member["spent"] for member in members] == [0, 0, 120],
        f"The group does not know who spent what: {members}",
    )
    rows = [("who", "brought", "earned", "spent", "let in by")]
    rows += [
        (
            member["holder"]["first_name"],
            *(str(member[key]) for key in ("brought", "earned", "spent")),
            member["proof"],
        )
        for member in members
    ]
    stage.say(f"the family has {group['balance']} points, and its history says whose they were")
    stage.show(columns(rows, " rrr"))
