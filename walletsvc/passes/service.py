"""Passes come into being with their card or certificate, and are found by its page token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.errors import Refused
from walletsvc.core.ids import public_id, secret_token, token_hash
from walletsvc.passes.models import Pass, PassTemplate, Wallet
from walletsvc.passes.protocol import Dialect
from walletsvc.programmes.models import Programme
from walletsvc.storage.rows import Inserted, Read

# Every card gets a pass in each when it is made; in the others when it is first wanted there.
WALLETS: Final = (Wallet.APPLE,)

_PASSES: Final = Inserted(Pass)
_PUBLISHED: Final = Read(
    PassTemplate,
    """
    JOIN template_versions ON template_versions.template_id = pass_templates.id
    WHERE pass_templates.programme_id = :programme AND template_versions.state = 'published'
    """,
)


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
    template = _published_template(session, programme)
    session.flush()  # the holder needs its id
    return [
        _PASSES.one(
            session,
            card_id=card.id if card else None,
            certificate_id=certificate.id if certificate else None,
            wallet=wallet,
            template_id=template.id,
            pass_type_id=template.pass_type_id,
            created_at=now,
        )
        for wallet in WALLETS
    ]


def create_card_passes(
    session: Session, card_ids: Sequence[int], programme: Programme, now: datetime
) -> None:
    """One pass per wallet for each of these new cards of the programme, as `create_passes`."""
    if not card_ids:
        return
    template = _published_template(session, programme)
    rows = [
        {
            "card_id": card_id,
            "wallet": wallet,
            "template_id": template.id,
            "pass_type_id": template.pass_type_id,
            "serial": public_id(),
            "auth_token": secret_token(),
            "revision": 0,
            "tag": 0,
            "unclaimed_downloads": 0,
            "created_at": now,
        }
        for card_id in card_ids
        for wallet in WALLETS
    ]
    session.execute(insert(Pass), rows)


def ensure_pass(session: Session, subject: Subject, dialect: Dialect, now: datetime) -> Pass:
    """The subject's pass in the dialect's wallet, made when it has none; of two who ask at once
    both get the same. A new one is not published yet.

    Raises Refused when the programme has no published template.
    """
    known = subject.passes.get(dialect.wallet)
    if known is not None:
        return known
    holder = subject.card or subject.certificate
    if holder is None:
        raise ValueError("a subject is either a card or a certificate")
    column = "certificate_id" if subject.card is None else "card_id"
    template = _published_template(session, session.get_one(Programme, holder.programme_id))
    session.execute(
        insert(Pass)
        .values(
            {
                column: holder.id,
                "wallet": dialect.wallet,
                "template_id": template.id,
                "pass_type_id": dialect.pass_type_id(session, template, now),
                "serial": public_id(),
                "auth_token": secret_token(),
                "revision": 0,
                "tag": 0,
                "unclaimed_downloads": 0,
                "created_at": now,
            }
        )
        .on_conflict_do_nothing(index_elements=[column, "wallet"])
    )
    made = session.exec(
        select(Pass).where(getattr(Pass, column) == holder.id, Pass.wallet == dialect.wallet)
    ).one()
    subject.passes[dialect.wallet] = made
    return made


def _published_template(session: Session, programme: Programme) -> PassTemplate:
    template = _PUBLISHED.first(session, programme=programme.id)
    if template is None:
        raise Refused(
            f"The programme '{programme.slug}' has no published template, so there is nothing"
            " to make its passes from; publish one with 'walletsvc templates publish'.",
            programme=programme.slug,
        )
    return template


def find_by_link(session: Session, token: str) -> Subject | None:
    """The card or certificate whose page has this token, with its passes; None if none has.

    The page of a card that was merged is that of the card it is part of by now.
    """
    wanted = token_hash(token)
    card = session.exec(select(Card).where(Card.link_hash == wanted)).first()
    if card is not None and card.merged_into_id is not None:
        card = session.get_one(Card, card.merged_into_id)
    if card is not None:
        return Subject(card, None, _passes(session, Pass.card_id == card.id))
    certificate = session.exec(select(Certificate).where(Certificate.link_hash == wanted)).first()
    if certificate is not None:
        return Subject(None, certificate, _passes(session, Pass.certificate_id == certificate.id))
    return None


def _passes(session: Session, holder: bool) -> dict[Wallet, Pass]:
    return {pass_.wallet: pass_ for pass_ in session.exec(select(Pass).where(holder))}
