"""The consent gate: whether a person may be told something by a channel. Nothing passes beside it:
it is asked when a message is written, and again before it leaves."""

from __future__ import annotations

from typing import Final

from sqlmodel import Session

from walletsvc.messaging.kinds import Category, Channel
from walletsvc.people.consents.models import ConsentChannel
from walletsvc.people.consents.service import may_advertise

_CONSENTS: Final = {
    Channel.SMS: ConsentChannel.SMS,
    Channel.EMAIL: ConsentChannel.EMAIL,
    Channel.CALL: ConsentChannel.CALL,
    Channel.MESSENGER: ConsentChannel.MESSENGER,
}


def allowed(
    session: Session, *, person_id: int | None, category: Category, channel: Channel
) -> bool:
    """Whether it may be sent. Advertising wants the person's standing consent for this channel,
    and so never goes to nobody in particular; all else passes."""
    if category is not Category.ADVERTISING:
        return True
    if person_id is None:
        return False
    return may_advertise(session, person_id, _CONSENTS[channel])
