"""Reading purchases with their refunds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import Select

from walletsvc.ledger.models import Transaction
from walletsvc.merchants.models import Branch, Organisation
from walletsvc.sales.models import (
    Purchase,
    PurchaseLine,
    PurchasePart,
    PurchaseState,
    Refund,
    RefundState,
)


def find(session: Session, organisation_id: int, public_id: str) -> Purchase | None:
    """The organisation's purchase with this public id."""
    return session.exec(
        select(Purchase).where(
            Purchase.public_id == public_id, Purchase.organisation_id == organisation_id
        )
    ).first()


def count_refunds(session: Session, card_ids: Sequence[int], account_ids: Sequence[int]) -> int:
    """How many refunds there have been of what these cards bought on these accounts."""
    query = (
        select(func.count())
        .select_from(Refund)
        .join(Purchase, col(Purchase.id) == col(Refund.purchase_id))
        .where(
            col(Purchase.card_id).in_(card_ids),
            col(Purchase.account_id).in_(account_ids),
            Refund.state == RefundState.DONE,
        )
    )
    return session.exec(query).one()


def list_purchases(
    session: Session,
    organisation_id: int,
    *,
    card: int | None = None,
    source: str | None = None,
    external_id: str | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[Purchase]:
    """The organisation's purchases, as they were recorded, newest first."""
    wanted = select(Purchase).where(Purchase.organisation_id == organisation_id)
    if card is not None:
        wanted = wanted.where(Purchase.card_id == card)
    if external_id is not None:
        wanted = wanted.where(Purchase.external_id == external_id)
    if source is not None:
        wanted = wanted.where(Purchase.source == source)
    if before is not None:
        wanted = wanted.where(col(Purchase.id) < before)
    return session.exec(wanted.order_by(col(Purchase.id).desc()).limit(limit)).all()


def of_card(
    session: Session, card_id: int, *, before: int | None = None, limit: int
) -> Sequence[tuple[Purchase, str]]:
    """Everything that was bought with a card, and the organisation (slug) where; newest first."""
    wanted = (
        select(Purchase, Organisation.slug)
        .join(Organisation, col(Organisation.id) == Purchase.organisation_id)
        .where(Purchase.card_id == card_id)
    )
    if before is not None:
        wanted = wanted.where(col(Purchase.id) < before)
    return session.exec(wanted.order_by(col(Purchase.id).desc()).limit(limit)).all()


def of_certificate(
    session: Session, certificate_id: int, *, before: int | None = None, limit: int
) -> Sequence[tuple[Purchase, str, int]]:
    """What a certificate paid for, where (slug), and how much of it; newest first."""
    wanted = (
        select(Purchase, Organisation.slug, PurchasePart.amount)
        .join(PurchasePart, col(PurchasePart.purchase_id) == Purchase.id)
        .join(Organisation, col(Organisation.id) == Purchase.organisation_id)
        .where(PurchasePart.certificate_id == certificate_id)
    )
    if before is not None:
        wanted = wanted.where(col(Purchase.id) < before)
    return session.exec(wanted.order_by(col(Purchase.id).desc()).limit(limit)).all()


def place(
    session: Session, public_id: str, *, card: int | None = None, certificate: int | None = None
) -> int | None:
    """Where the purchase is in the list of a card or of a certificate; None if it is not in it."""
    wanted = select(Purchase.id).where(Purchase.public_id == public_id)
    if card is not None:
        wanted = wanted.where(Purchase.card_id == card)
    if certificate is not None:
        wanted = wanted.join(PurchasePart, col(PurchasePart.purchase_id) == Purchase.id).where(
            PurchasePart.certificate_id == certificate
        )
    return session.exec(wanted).first()


def refunds_of(session: Session, purchase: Purchase) -> Sequence[Refund]:
    """What came back of a purchase, oldest first; those that were refused too."""
    return session.exec(
        select(Refund)
        .where(Refund.purchase_id == purchase.id, Refund.state != RefundState.WAITING)
        .order_by(col(Refund.id))
    ).all()


def corrected_by(session: Session, purchase: Purchase) -> str | None:
    """The public id of the purchase that counts in place of this one."""
    return session.exec(
        select(Purchase.public_id).where(Purchase.corrects_id == purchase.id)
    ).first()


def public_id_of(session: Session, purchase_id: int | None) -> str | None:
    """The public id of a purchase."""
    if purchase_id is None:
        return None
    return session.exec(select(Purchase.public_id).where(Purchase.id == purchase_id)).first()


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase, and where it was: names of the organisation and, if known, the branch."""

    purchase: Purchase
    organisation: str
    branch: str | None


def of_cards(
    session: Session, card_ids: Sequence[int], *, before: int | None = None, limit: int
) -> Sequence[Bought]:
    """What was bought with any of these cards, at whichever organisation, newest first; what was
    corrected is left out, for another purchase counts in its place."""
    wanted = _bought().where(
        col(Purchase.card_id).in_(card_ids), Purchase.state != PurchaseState.CORRECTED
    )
    if before is not None:
        wanted = wanted.where(col(Purchase.id) < before)
    rows = session.exec(wanted.order_by(col(Purchase.id).desc()).limit(limit))
    return [Bought(purchase, name, branch) for purchase, name, branch in rows]


def bought_with(session: Session, card_ids: Sequence[int], public_id: str) -> Bought | None:
    """The purchase with this public id, if it was made with one of these cards."""
    row = session.exec(
        _bought().where(col(Purchase.card_id).in_(card_ids), Purchase.public_id == public_id)
    ).first()
    return None if row is None else Bought(row[0], row[1], row[2])


def lines_of(session: Session, purchase: Purchase) -> Sequence[PurchaseLine]:
    """What was on the bill, in its order."""
    return session.exec(
        select(PurchaseLine)
        .where(PurchaseLine.purchase_id == purchase.id)
        .order_by(col(PurchaseLine.position))
    ).all()


def causes(
    session: Session, card_ids: Sequence[int], transactions: Sequence[str]
) -> dict[str, str]:
    """Which of these transactions (public ids) came of a purchase with one of these cards, and of
    which (public id)."""
    rows = session.exec(
        select(Transaction.public_id, Purchase.public_id)
        .join(PurchasePart, col(PurchasePart.transaction_id) == col(Transaction.id))
        .join(Purchase, col(Purchase.id) == col(PurchasePart.purchase_id))
        .where(col(Transaction.public_id).in_(transactions), col(Purchase.card_id).in_(card_ids))
    )
    return dict(rows.all())


def _bought() -> Select[Purchase, str, str]:
    return (
        select(Purchase, Organisation.name, Branch.name)
        .join(Organisation, col(Organisation.id) == col(Purchase.organisation_id))
        .outerjoin(Branch, col(Branch.id) == col(Purchase.branch_id))
    )
