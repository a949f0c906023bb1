"""What a return takes back and gives back, from the outcome that was stored with the purchase.

Of each item a return takes what is due after all that came back so far, less what was taken
before: several returns come to what a single one of them all would, to the last unit, and in the
end everything is restored.
Nothing is evaluated anew: a promotion that the bill reached stays reached, in proportion to what
was kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from walletsvc.core.errors import FieldError, InputError, Refused
from walletsvc.programmes.rulebook.amounts import apportioned, half_up, spread
from walletsvc.programmes.rulebook.basket import MILLI, Tender
from walletsvc.programmes.rulebook.fields import (
    NOT_EMPTY,
    Amount,
    Code,
    Quantity,
    Strict,
    Wrong,
    given,
    refuse,
)
from walletsvc.programmes.rulebook.outcome import Outcome, OutcomeLine


class ReturnedLine(Strict):
    """So much of an item: by quantity, or by what was paid for it in any form, after discounts."""

    item: Code | None = None
    group: Code | None = None
    quantity: Quantity | None = None
    sum: Annotated[Amount, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.quantity is None) == (self.sum is None):
            message = "give either quantity or sum"
            refuse("ReturnedLine", [Wrong(("quantity",), "required", message)])
        return self


class Returned(Strict):
    """What comes back: lines, or a sum of the bill, or (with neither) everything that is left."""

    lines: Annotated[tuple[ReturnedLine, ...], *NOT_EMPTY, Field(max_length=1_000)] | None = None
    sum: Annotated[Amount, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.lines is not None and self.sum is not None:
            refuse("Returned", [Wrong(("sum",), "not_allowed", "give either lines or sum")])
        return self


class Part(Strict):
    """What a return means for one item, or in all.

    To give back: `points` (minor units of points; `points_money` is their worth then), what each
    of the certificates paid, `money`. Together they are `net`. To take back: `earned`, `stamps`
    and `turnover` (as the outcome has it). `milli` is the quantity in thousandths.
    """

    milli: int = 0
    net: int = 0
    points: int = 0
    points_money: int = 0
    certificates: tuple[int, ...] = ()
    money: int = 0
    earned: int = 0
    stamps: int = 0
    turnover: int = 0


class Share(Strict):
    """The share of a purchase that one return undoes; `lines` are in the order of the outcome's."""

    lines: tuple[Part, ...]
    total: Part
    certificates: tuple[Tender, ...]


def share(outcome: Outcome, returned: Returned, already: Sequence[Share] = ()) -> Share:
    """What to give back and to take back for this return, after those that were `already` made.

    Raises InputError for an item that was not bought, and Refused for more than is left; its data
    says what can be returned, in minor units of money or thousandths of a unit.
    """
    whole = [_whole(line) for line in outcome.lines]
    left = [
        _minus(line, [before.lines[index] for before in already])
        for index, line in enumerate(whole)
    ]
    parts = [_nothing(line) for line in outcome.lines]
    for index, net, milli in _wanted(outcome, returned, whole, left):
        part = _part(whole[index], left[index], net, milli)
        left[index] = _minus(left[index], [part])
        parts[index] = _plus(parts[index], part)
    total = _nothing(outcome)
    for part in parts:
        total = _plus(total, part)
    tenders = zip(outcome.paid_with_certificates, total.certificates, strict=True)
    back = tuple(Tender(id=tender.id, amount=amount) for tender, amount in tenders if amount)
    return Share(lines=tuple(parts), total=total, certificates=back)


def _wanted(
    outcome: Outcome, returned: Returned, whole: Sequence[Part], left: Sequence[Part]
) -> Iterator[tuple[int, int, int | None]]:
    """Which item gives up how much: its index, of its net and of its quantity in thousandths.

    `left` is read anew for each line, for an item may come back on several. Whoever returns a sum
    does not say a quantity: None.
    """
    if returned.lines is not None:
        for number, line in enumerate(returned.lines):
            index = _index(outcome, line, number)
            yield index, *_of_item(line, whole[index], left[index])
        return
    nets = [part.net for part in left]
    if returned.sum is None:
        yield from [(index, part.net, part.milli) for index, part in enumerate(left)]
        return
    if returned.sum > sum(nets):
        raise Refused("There is less left of this purchase to return.", returnable=sum(nets))
    # With the last of the money comes back what stamps bought: it has no price of its own.
    last = returned.sum == sum(nets)
    yield from [
        (index, net, None)
        for index, net in enumerate(spread(returned.sum, nets))
        if net or (last and left[index].points)
    ]


def _index(outcome: Outcome, line: ReturnedLine, number: int) -> int:
    """The item that is meant. Its code is enough, unless it was sold in several groups."""
    named = [index for index, bought in enumerate(outcome.lines) if bought.item == line.item]
    found = [index for index in named if outcome.lines[index].group == line.group]
    if not found and line.item is not None and line.group is None:
        found = named
    if len(found) == 1:
        return found[0]
    part, message, code = "item", "was not bought with this purchase", "not_bought"
    if found:
        part, message, code = "group", "is needed: the item was sold in several", "required"
    field = f"lines.{number}.{part}"
    raise InputError(f"{field}: {message}.", (FieldError(field, message, code),))


def _of_item(line: ReturnedLine, whole: Part, left: Part) -> tuple[int, int | None]:
    """What a returned line takes of its item, when so much of it is left."""
    if line.sum is not None:
        if line.sum > left.net:
            raise Refused("There is less left of this item to return.", returnable=left.net)
        return line.sum, None
    quantity = int(given(line.quantity) * MILLI)
    if quantity > left.milli:
        raise Refused("There is less left of this item to return.", returnable_quantity=left.milli)
    gone = whole.milli - left.milli
    if whole.net - left.net == _price(whole, gone):
        return _price(whole, gone + quantity) - _price(whole, gone), quantity
    # A sum of it came back as well: of a unit there is only a share of the rest to give.
    return half_up(left.net * quantity, left.milli), quantity


def _part(whole: Part, left: Part, net: int, milli: int | None) -> Part:
    """The part of an item that goes with so much of its net, when this much of it is left."""
    if not whole.net and milli is not None and left.points:
        due = whole.points * (whole.milli - left.milli + milli) // whole.milli
        points = _rest_of(due, whole.points, left.points)
        return left.model_copy(update={"milli": milli, "points": points})
    if net == left.net:
        # All of its value; a quantity may stay behind, for cheap things round to nothing.
        return left.model_copy(update={"milli": left.milli if milli is None else milli})
    back = whole.net - left.net + net  # of its net, with all returns before
    paid = whole.points_money, whole.money, *whole.certificates
    rest = left.points_money, left.money, *left.certificates
    points_money, money, *certificates = _back(back, net, paid, rest)
    covered = whole.points_money - left.points_money + points_money if whole.points_money else back
    points = whole.points * covered // (whole.points_money or whole.net)
    return Part(
        milli=milli or 0,
        net=net,
        points=_rest_of(points, whole.points, left.points),
        points_money=points_money,
        certificates=tuple(certificates),
        money=money,
        earned=_rest_of(whole.earned * back // whole.net, whole.earned, left.earned),
        stamps=_rest_of(whole.stamps * back // whole.net, whole.stamps, left.stamps),
        turnover=min(money + sum(certificates), left.turnover),
    )


def _back(back: int, net: int, paid: Sequence[int], rest: Sequence[int]) -> list[int]:
    """How `net` goes back to each way of paying, when `back` of all of them is due by now."""
    due = apportioned(back, paid)
    parts = [now - (all_ - left) for now, all_, left in zip(due, paid, rest, strict=True)]
    # A return that an earlier release divided in another way may have run ahead.
    return parts if min(parts) >= 0 else spread(net, rest)


def _rest_of(due: int, whole: int, left: int) -> int:
    """What of `due` was not taken yet, when `left` of the whole is still there."""
    return max(due - (whole - left), 0)


def _price(whole: Part, milli: int) -> int:
    return half_up(whole.net * milli, whole.milli)


def _whole(line: OutcomeLine) -> Part:
    fields = line.model_dump(include=set(Part.model_fields) - {"net"})
    return Part(net=line.net, **fields)


def _nothing(paid: Outcome | OutcomeLine) -> Part:
    count = (
        len(paid.certificates)
        if isinstance(paid, OutcomeLine)
        else len(paid.paid_with_certificates)
    )
    return Part(certificates=(0,) * count)


def _plus(first: Part, second: Part, sign: int = 1) -> Part:
    """The sum of two parts, or with `sign` -1 their difference, field by field."""
    numbers = {
        name: getattr(first, name) + sign * getattr(second, name)
        for name in Part.model_fields
        if name != "certificates"
    }
    pairs = zip(first.certificates, second.certificates, strict=True)
    return Part(certificates=tuple(a + sign * b for a, b in pairs), **numbers)


def _minus(whole: Part, parts: Sequence[Part]) -> Part:
    for part in parts:
        whole = _plus(whole, part, -1)
    return whole
