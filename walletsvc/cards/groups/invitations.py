"""Invitations: codes by which the holder of a card lets others share the account."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, delete, func, select

from walletsvc.cards.groups import rules
from walletsvc.cards.groups.locking import lock_with_groups, require_open
from walletsvc.cards.groups.models import GroupInvitation
from walletsvc.cards.models import Card
from walletsvc.core.actor import Actor
from walletsvc.core.errors import InputError, Refused, wrong
from walletsvc.programmes.models import Programme
from walletsvc.storage.columns import keyring
from walletsvc.storage.limits import Limit

# How often codes may be tried in vain: with one API key, and for one card that wants to join.
PER_KEY: Final = Limit("group-code-key", 300, timedelta(hours=1))
PER_CARD: Final = Limit("group-code-card", 20, timedelta(hours=1))


def invite(
    session: Session, card: Card, *, actor: Actor, now: datetime
) -> tuple[GroupInvitation, str]:
    """An invitation by the card's holder to share the account, and its code.

    The code lets one card in within 24 hours; it is stored as a keyed hash only. Raises Refused
    for a closed card, and when five invitations of the card are open.
    """
    card = lock_with_groups(session, card.id)[card.id]
    require_open(card)
    open_ = session.exec(
        select(func.count()).where(
            GroupInvitation.card_id == card.id,
            col(GroupInvitation.used_at).is_(None),
            GroupInvitation.expires_at > now,
        )
    ).one()
    if open_ >= rules.MOST_OPEN:
        raise Refused(
            f"The card has {open_} open invitations: use them or wait until one ends.", open=open_
        )
    code = rules.new_code()
    invitation = GroupInvitation(
        card_id=card.id,
        code_hash=keyring().lookup_hash(code),
        actor=str(actor),
        created_at=now,
        expires_at=now + rules.LIFETIME,
    )
    session.add(invitation)
    session.flush()
    return invitation, code


def find(session: Session, card: Card, text: str, now: datetime) -> GroupInvitation:
    """The open invitation with this code as typed, by a card of the same organisation.

    Raises InputError naming `code` when there is none, whatever the reason.
    """
    code = rules.normalise_code(text)
    host = select(Card.id).join(Programme, col(Programme.id) == col(Card.programme_id))
    own = select(Programme.organisation_id).where(Programme.id == card.programme_id)
    found = session.exec(
        select(GroupInvitation).where(
            GroupInvitation.code_hash == keyring().lookup_hash(code),
            col(GroupInvitation.used_at).is_(None),
            GroupInvitation.expires_at > now,
            col(GroupInvitation.card_id).in_(host.where(col(Programme.organisation_id).in_(own))),
        )
    ).first()
    if found is None:
        raise _unknown_code()
    return found


def still_open(session: Session, invitation: GroupInvitation) -> GroupInvitation:
    """The invitation as it is now, under its card's lock; raises InputError when it was used."""
    found = session.get(GroupInvitation, invitation.id, populate_existing=True)
    if found is None or found.used_at is not None:
        raise _unknown_code()
    return found


def withdraw(session: Session, card: Card) -> None:
    """Take back a card's codes: they would let people into whatever group it is in by then."""
    session.exec(
        delete(GroupInvitation).where(
            col(GroupInvitation.card_id) == card.id, col(GroupInvitation.used_at).is_(None)
        )
    )


def _unknown_code() -> InputError:
    return wrong("code", "is the code of no open invitation", "unknown")
