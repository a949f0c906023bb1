"""The discount that is always given, not only on some purchases: what a card says on its face."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from walletsvc.programmes.rulebook.fields import given
from walletsvc.programmes.rulebook.promotions import Promotion

_ALL = Decimal(100)


def discount(promotions: Sequence[Promotion], tier: str | None) -> Decimal:
    """The percent that comes off everything, everywhere and always, for who is in this tier.

    `promotions` go by priority and stack as they do on a purchase; limits are not counted.
    """
    every = [each for each in promotions if _always(each, tier)]
    alone = next((each for each in every if each.stacking == "exclusive"), None)
    if alone is not None:
        return _percent(alone)
    best = max((_percent(each) for each in every if each.stacking == "best"), default=Decimal(0))
    return min(sum((_percent(each) for each in every if each.stacking == "add"), best), _ALL)


def _always(promotion: Promotion, tier: str | None) -> bool:
    when = promotion.when
    return (
        promotion.effect.kind == "discount"
        and when.every_line
        and (when.tiers is None or tier in when.tiers)
        and when.model_copy(update={"tiers": None}).always
    )


def _percent(promotion: Promotion) -> Decimal:
    return given(promotion.effect.percent)
