"""A message to everybody who holds a programme's cards."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.rules import PROGRAMME_PATH, own_programme
from walletsvc.api.schemas import DryRun, Input, Output
from walletsvc.api.wallets import dialects
from walletsvc.core.errors import Refused
from walletsvc.passes.announcing import announce
from walletsvc.passes.models import Wallet
from walletsvc.passes.protocol import Announcement


class Words(Input):
    """A text in each language there is."""

    ru: str | None = None
    en: str | None = None

    def given(self) -> dict[str, str]:
        """Those that are there."""
        return {k: v for k, v in (("ru", self.ru), ("en", self.en)) if v is not None}


class NewAnnouncement(Input):
    """A notice about the cards themselves: a branch moved, the terms change. No advertising."""

    header: Words
    body: Words = Field(description="In the same languages as the header.")


class WalletReach(Output):
    """What it reaches in one wallet."""

    wallet: Wallet
    holders: int = Field(description="Cards of the programme that sit in this wallet.")
    announces: bool = Field(description="Apple Wallet has no such message: say it in a field.")
    sounding: int = Field(
        description="Phones on which it may sound now. A card announces three times in 24 hours; "
        "the others show it silently."
    )


class Announced(Output):
    """Queued for the wallets that take it."""

    wallets: list[WalletReach]
    dry_run: bool


def begin(call: Call) -> Announced:
    """Queue it."""
    body: NewAnnouncement = call.body
    query: DryRun = call.query
    words = Announcement(body.header.given(), body.body.given())
    wallets = dialects(call.deps.settings)
    reached = announce(call.session, wallets, own_programme(call), words, call.now)
    return Announced(
        wallets=[WalletReach.model_validate(reach, from_attributes=True) for reach in reached],
        dry_run=query.dry_run,
    )


OPERATIONS: Final = (
    Operation(
        id="announce",
        method="POST",
        path="/programmes/{slug}/announcements",
        tag="Rules",
        scope=Scope.RULES_WRITE,
        summary="Tell all holders something about their cards",
        description="One message to everybody who holds the programme's cards in Google Wallet, "
        "whoever consented to what: for notices about the card itself, not for advertising. It is "
        "sent behind everything urgent and counts for the three notifications that a card has in "
        "24 hours. Apple Wallet has no such message.",
        handler=begin,
        status=202,
        body=NewAnnouncement,
        body_example={
            "header": {"ru": "Мы переехали", "en": "We moved"},
            "body": {"ru": "С 1 декабря: Невский, 10.", "en": "From December 1: Nevsky 10."},
        },
        query=DryRun,
        answer=Announced,
        answer_example={
            "wallets": [
                {"wallet": "apple", "holders": 8120, "announces": False, "sounding": 0},
                {"wallet": "google", "holders": 5230, "announces": True, "sounding": 5211},
            ],
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused,),
        path_parameters=PROGRAMME_PATH,
    ),
)
