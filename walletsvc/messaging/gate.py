"""The consent gate: whether a person may be told something by a channel. Nothing passes beside it:
it is asked when a message is written, and again before it leaves."""

from __future__ import annotations

from typing import Final

from sqlmodel import Session, col, select

from walletsvc.messaging.kinds import Category, Channel
from walletsvc.people.consents.models import ConsentChannel
from walletsvc.people.consents.service import may_advertise
from walletsvc.people.models import PersonPhone, Phone

_CONSENTS: Final = {
    Channel.SMS: ConsentChannel.SMS,
    Channel.EMAIL: ConsentChannel.EMAIL,
    Channel.CALL: ConsentChannel.CALL,
    Channel.MESSENGER: ConsentChannel.MESSENGER,
}


def allowed(
    session: Session,
    *,
    person_id: int | None,
    category: Category,
    channel: Channel,
    phone: str | None,
) -> bool:
    """Whether it may be sent. Advertising wants the person's standing consent for this channel,
    and so never goes to nobody in particular, nor to a phone (E.164) that the person did not prove
    to hold; all else passes."""
    if category is not Category.ADVERTISING:
        return True
    if person_id is None:
        return False
    if channel is not Channel.EMAIL and not (phone and _theirs(session, person_id, phone)):
        return False
    return may_advertise(session, person_id, _CONSENTS[channel])


def _theirs(session: Session, person_id: int, phone: str) -> bool:
    held = (
        select(PersonPhone.person_id)
        .join(Phone, col(Phone.id) == col(PersonPhone.phone_id))
        .where(
            PersonPhone.person_id == person_id,
            Phone.e164 == phone,
            col(PersonPhone.verified_at).is_not(None),
        )
    )
    return session.exec(held).first() is not None
