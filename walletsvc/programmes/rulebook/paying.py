"""How a bill is paid: how many points it takes, and which part of each item is paid with what."""

from __future__ import annotations

from collections.abc import Sequence

from walletsvc.core.errors import Refused
from walletsvc.programmes.rulebook.amounts import PointUnit, hundredths, spread
from walletsvc.programmes.rulebook.basket import Occasion
from walletsvc.programmes.rulebook.outcome import Payment
from walletsvc.programmes.rulebook.schemas import RuleBook


def most_points(book: RuleBook, unit: PointUnit, spendable: int, beside_certificates: int) -> int:
    """The most points that may pay, in minor units of points.

    `spendable` is what of the bill may be paid with points at all, `beside_certificates` what the
    certificates leave to pay.
    """
    share = spendable * hundredths(book.spend.max_share_percent) // 10_000
    most = unit.affordable(min(share, beside_certificates))
    if book.spend.step:
        most -= most % (book.spend.step * unit.whole)
    return most if most >= book.spend.min_points * unit.whole else 0


def check_certificates(certificates: int, payable: int) -> None:
    """Raise Refused when they are more than there is to pay; its data says how much that is."""
    if certificates > payable:
        raise Refused("The certificates are more than the bill.", payable=payable)


def check_points(book: RuleBook, unit: PointUnit, occasion: Occasion, most: int) -> None:
    """Raise Refused when so many points cannot pay; its data says what is possible."""
    points = occasion.paid_with_points
    if points > most:
        raise Refused("So much of this bill cannot be paid with points.", most_points=most)
    least = book.spend.min_points * unit.whole
    step = book.spend.step * unit.whole if book.spend.step else 1
    if points and (points < least or points % step):
        raise Refused(
            "Points are spent from a least number on and in steps.", min_points=least, step=step
        )


def pay(
    unit: PointUnit, occasion: Occasion, nets: Sequence[int], spendable: Sequence[int]
) -> Payment:
    """Spread what pays over the items: points over those that take them, the rest over the rest.

    `nets` are the items after discounts, `spendable` the same or 0 where points do not pay.
    """
    points_money = spread(unit.worth(occasion.paid_with_points), spendable)
    points = spread(occasion.paid_with_points, points_money if any(points_money) else spendable)
    return divided(occasion, nets, points, points_money)


def divided(
    occasion: Occasion, nets: Sequence[int], points: list[int], points_money: list[int]
) -> Payment:
    """The payment when it is known what points pay of each item: certificates pay next."""
    left = [net - part for net, part in zip(nets, points_money, strict=True)]
    by_certificate = []
    for tender in occasion.paid_with_certificates:
        parts = spread(tender.amount, left)
        left = [rest - part for rest, part in zip(left, parts, strict=True)]
        by_certificate.append(parts)
    certificates = list(zip(*by_certificate, strict=True)) or [() for _ in nets]
    return Payment(points, points_money, certificates, left)
