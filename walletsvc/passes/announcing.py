"""One message to everybody who holds a programme's cards, in the wallets that have such a thing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session, select

from walletsvc.core.errors import Refused, wrong
from walletsvc.merchants.rules import check_text
from walletsvc.passes.models import PassTemplate, Wallet
from walletsvc.passes.protocol import Announcement, Dialect
from walletsvc.programmes.models import Programme

HEADER_LENGTH: Final = 60
BODY_LENGTH: Final = 1_000


@dataclass(frozen=True, slots=True)
class Reach:
    """How many hold the cards in a wallet, whether it takes the message (`announces`), and how
    many phones it may sound on now: the others show it silently."""

    wallet: Wallet
    holders: int
    announces: bool
    sounding: int


def announce(
    session: Session,
    dialects: Iterable[Dialect],
    programme: Programme,
    announcement: Announcement,
    now: datetime,
) -> list[Reach]:
    """Queue a notice about the cards themselves; what it reaches, wallet by wallet.

    Raises InputError naming the field, and Refused where no wallet takes such a message or the
    programme has no cards in wallets.
    """
    announcement = _checked(announcement)
    template = session.exec(
        select(PassTemplate).where(PassTemplate.programme_id == programme.id)
    ).first()
    if template is None:
        raise Refused(f"No template of '{programme.slug}' was published: nobody holds its cards.")
    reached = []
    for dialect in dialects:
        taken = dialect.announce(session, template.id, announcement, now=now)
        holders, sounding = dialect.audience(session, template.id, now)
        reached.append(Reach(dialect.wallet, holders, taken, sounding if taken else 0))
    if not any(reach.announces for reach in reached):
        raise Refused(
            "Only Google Wallet takes a message to all holders, and it is not set up here: say it"
            " in a field of the card."
        )
    return reached


def _checked(announcement: Announcement) -> Announcement:
    """The same, tidied."""
    if not announcement.body:
        raise wrong("body", "is needed in one language at least", "required")
    if set(announcement.header) != set(announcement.body):
        raise wrong("header", "must be in the same languages as the body", "required")
    header = {
        language: check_text(f"header.{language}", said, HEADER_LENGTH)
        for language, said in announcement.header.items()
    }
    body = {
        language: check_text(f"body.{language}", said, BODY_LENGTH)
        for language, said in announcement.body.items()
    }
    return Announcement(header, body)
