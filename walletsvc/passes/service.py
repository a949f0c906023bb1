"""Passes come into being with their card or certificate, and are found by its page token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import Refused
from walletsvc.core.ids import token_hash
from walletsvc.passes.models import Pass, PassTemplate, TemplateVersion, VersionState, Wallet
from walletsvc.programmes.models import Programme

WALLETS: Final = (Wallet.APPLE,)  # every card gets a pass in each


@dataclass(frozen=True)
class Subject:
    """What a page token opens: a card or a certificate, and its passes by wallet."""

    card: Card | None
    certificate: Certificate | None
    passes: dict[Wallet, Pass]


def create_passes(
    session: Session,
    *,
    card: Card | None = None,
    certificate: Certificate | None = None,
    programme: Programme,
    now: datetime,
) -> list[Pass]:
    """One pass per wallet for a new card or certificate. Nothing is published yet: a pass is
    built when it is first asked for.

    Raises Refused when the programme has no published template to make passes from.
    """
    if (card is None) == (certificate is None):
        raise ValueError("a pass belongs to either a card or a certificate")
    template = session.exec(
        select(PassTemplate)
        .join(TemplateVersion, col(TemplateVersion.template_id) == col(PassTemplate.id))
        .where(
            PassTemplate.programme_id == programme.id,
            TemplateVersion.state == VersionState.PUBLISHED,
        )
    ).first()
    if template is None:
        raise Refused(
            f"The programme '{programme.slug}' has no published template, so there is nothing"
            " to make its passes from; publish one with 'walletsvc templates publish'.",
            programme=programme.slug,
        )
    session.flush()  # the holder needs its id
    made = [
        Pass(
            card_id=card.id if card else None,
            certificate_id=certificate.id if certificate else None,
            wallet=wallet,
            template_id=template.id,
            pass_type_id=template.pass_type_id,
            created_at=now,
        )
        for wallet in WALLETS
    ]
    session.add_all(made)
    session.flush()
    return made


def find_by_link(session: Session, token: str) -> Subject | None:
    """The card or certificate whose page has this token, with its passes; None if none has."""
    wanted = token_hash(token)
    card = session.exec(select(Card).where(Card.link_hash == wanted)).first()
    if card is not None:
        return Subject(card, None, _passes(session, Pass.card_id == card.id))
    certificate = session.exec(select(Certificate).where(Certificate.link_hash == wanted)).first()
    if certificate is not None:
        return Subject(None, certificate, _passes(session, Pass.certificate_id == certificate.id))
    return None


def _passes(session: Session, holder: bool) -> dict[Wallet, Pass]:
    return {pass_.wallet: pass_ for pass_ in session.exec(select(Pass).where(holder))}
