"""From what tills send to what the use cases take, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from walletsvc.api.operations import Call
from walletsvc.api.sales.answers import (
    FutureOut,
    MoneyOut,
    PaidCertificate,
    ProblemOut,
    PurchaseBrief,
    PurchaseOut,
    ReasonOut,
    ReceiptOut,
    RefundOut,
    ReturnedCertificate,
    SoldLine,
    StampsOut,
)
from walletsvc.api.sales.reading import MoneyIn, NewPurchase, NewQuote, NewRefund, Printing
from walletsvc.core.errors import NotFound, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.programmes.rulebook.basket import Basket, Position, positions
from walletsvc.programmes.rulebook.fields import made
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.rulebook.reasons import words
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.sales import queries
from walletsvc.sales.models import Purchase, Refund, RefundState
from walletsvc.sales.receipts import Language, printed
from walletsvc.sales.refunding import explained, recovered, shared
from walletsvc.sales.sale import Caller, Certificate, Reference, Return, Sale
from walletsvc.web import json_body

TAG: Final = "Sales"
PATH: Final = {"purchase_id": "The purchase's id, as recording it answered."}


def caller(call: Call) -> Caller:
    """Who calls."""
    return Caller(call.key.organisation_id, call.key.branch_id, call.actor)


def reference(call: Call, body: NewPurchase | NewRefund) -> Reference:
    """What the sending system calls it."""
    return Reference(body.source or call.key.public_id, body.external_id)


def purchase_id(call: Call) -> str:
    """The id in the path; raises NotFound for what cannot be one."""
    found = call.path["purchase_id"]
    if not PUBLIC_ID.fullmatch(found):
        raise NotFound("There is no such purchase.")
    return found


def sale(body: NewQuote) -> Sale:
    """The sale that a body describes; raises InputError naming the field."""
    if (body.lines is None) == (body.total is None):
        raise wrong("lines", "give either lines or total", "required")
    currency = _one_currency(body)
    lines = [line.model_dump(exclude={"price", "sum"})
             | {"price": _amount(line.price), "sum": _amount(line.sum)}
             for line in body.lines or ()]  # fmt: skip
    try:
        basket = Basket.model_validate({"lines": lines or None, "total": _amount(body.total)})
    except ValidationError as error:
        raise json_body.invalid(error) from None
    for number, tender in enumerate(body.certificates):
        if tender.amount.amount == 0:
            raise wrong(f"certificates.{number}.amount.amount", "must not be zero", "out_of_range")
    return Sale(
        basket=basket,
        currency=currency,
        card=body.card_id,
        branch=body.branch_id,
        channel=body.channel,
        at=body.at,
        points=body.points,
        hold=body.hold_id,
        certificates=tuple(
            Certificate(each.certificate_id, each.amount.amount, each.hold_id)
            for each in body.certificates
        ),
        presentation=body.presentation,
        proof=body.proof,
    )


def back(body: NewRefund) -> Return:
    """The return that a body describes; raises InputError naming the field."""
    currencies = {money.currency for money in _refund_moneys(body)}
    if len(currencies) > 1:
        raise wrong("lines", "must all be in one currency", "not_allowed")
    lines = [line.model_dump(exclude={"sum"}) | {"sum": _amount(line.sum)}
             for line in body.lines or ()]  # fmt: skip
    try:
        returned = Returned.model_validate({"lines": lines or None, "sum": _amount(body.amount)})
    except ValidationError as error:
        raise json_body.invalid(error) from None
    return Return(returned, body.reason, body.at, next(iter(currencies), None))


def _amount(money: MoneyIn | None) -> int | None:
    return None if money is None else money.amount


def _moneys(body: NewQuote) -> Iterator[tuple[str, MoneyIn]]:
    if body.total is not None:
        yield "total", body.total
    for number, line in enumerate(body.lines or ()):
        for name in ("price", "sum"):
            money = getattr(line, name)
            if money is not None:
                yield f"lines.{number}.{name}", money


def _refund_moneys(body: NewRefund) -> Iterator[MoneyIn]:
    if body.amount is not None:
        yield body.amount
    yield from [line.sum for line in body.lines or () if line.sum is not None]


def _one_currency(body: NewQuote) -> str:
    found: str | None = None
    certificates = [
        (f"certificates.{number}.amount", each.amount)
        for number, each in enumerate(body.certificates)
    ]
    for field, money in [*_moneys(body), *certificates]:
        if found is not None and money.currency != found:
            raise wrong(f"{field}.currency", f"must be {found}, as the others", "not_allowed")
        found = money.currency
    if found is None:
        raise wrong("lines.0.price", "give either price or sum", "required")
    return found


def calculated(
    outcome: Outcome,
    basket: Basket,
    currency: str,
    scale: int,
    language: Language,
    lefts: Mapping[str, int],
) -> dict[str, Any]:
    """The fields of `Calculated` that come of an outcome."""

    def money(amount: int) -> MoneyOut:
        return made(MoneyOut, {"amount": amount, "currency": currency})

    return {
        "total": money(outcome.sum),
        "discount": money(outcome.discount),
        "payable": money(outcome.payable),
        "points": outcome.paid_with_points,
        "points_money": money(outcome.points_money),
        "certificates": [
            PaidCertificate(
                certificate_id=each.id, amount=money(each.amount), left=money(lefts[each.id])
            )
            for each in outcome.paid_with_certificates
        ],
        "money": money(outcome.money),
        "earned": outcome.earned,
        "stamps": outcome.stamps,
        "available_from": outcome.available_from if outcome.earned or outcome.stamps else None,
        "expires_at": outcome.expires_at if outcome.earned or outcome.stamps else None,
        "tier": outcome.tier,
        "tier_after": outcome.tier_after,
        "lines": [
            _sold(line.item, place, money)
            for line, place in zip(basket.as_given, positions(basket, outcome), strict=True)
        ],
        "explanation": [
            made(
                ReasonOut,
                {
                    "code": reason.code.value,
                    "text": words(reason, language, currency=currency, scale=scale),
                },
            )
            for reason in outcome.explanation
        ],
    }


def _sold(item: str | None, place: Position, money: Callable[[int], MoneyOut]) -> SoldLine:
    values = {
        "item": item,
        "sum": money(place.sum),
        "discount": money(place.discount),
        "points_money": money(place.points_money),
        "earned": place.earned,
    }
    return made(SoldLine, values)


def purchase_out(
    call: Call,
    found: Purchase,
    printing: Printing,
    *,
    repeated: bool = False,
    dry_run: bool = False,
    fresh: tuple[Basket, Outcome] | None = None,
) -> PurchaseOut:
    """A purchase as it is now; of a `fresh` one nothing has to be looked up or read again."""
    receipt = found.receipt
    language: Language = printing.language or receipt.get("language") or "ru"
    basket, outcome = fresh or (
        Basket.model_validate({name: found.request[name] for name in ("lines", "total")}),
        Outcome.model_validate(found.outcome),
    )
    refunds = [] if fresh else queries.refunds_of(call.session, found)
    return PurchaseOut(
        id=None if dry_run else found.public_id,
        state=found.state,
        source=found.source,
        external_id=found.external_id,
        at=found.at,
        recorded_at=found.recorded_at,
        branch_id=receipt["branch"],
        channel=found.channel,
        card_id=receipt["card"],
        rules_version=receipt.get("rules"),
        receipt=_receipt(found, language, printing.width),
        refunds=[refund_out(call, refund, found, language=language) for refund in refunds],
        corrects=queries.public_id_of(call.session, found.corrects_id),
        corrected_by=None if fresh else queries.corrected_by(call.session, found),
        repeated=repeated,
        dry_run=dry_run,
        **calculated(
            outcome, basket, found.currency, receipt.get("scale") or 0, language,
            {each["id"]: each["left"] for each in receipt["certificates"]},
        ),
    )  # fmt: skip


def brief(found: Purchase) -> PurchaseBrief:
    """A purchase in a list."""

    def money(amount: int) -> MoneyOut:
        return MoneyOut(amount=amount, currency=found.currency)

    return PurchaseBrief(
        id=found.public_id,
        state=found.state,
        source=found.source,
        external_id=found.external_id,
        at=found.at,
        recorded_at=found.recorded_at,
        branch_id=found.receipt["branch"],
        channel=found.channel,
        card_id=found.receipt["card"],
        total=money(found.total),
        discount=money(found.discount),
        points=found.paid_points,
        money=money(found.paid_money),
        earned=found.earned,
        stamps=found.stamps,
    )


def _receipt(found: Purchase, language: Language, width: int) -> ReceiptOut:
    receipt = found.receipt
    sums = {
        "discount": found.discount,
        "earned": found.earned,
        "stamps": found.stamps,
        "points": found.paid_points,
    }
    return ReceiptOut(
        phone=receipt.get("phone"),
        balance=receipt.get("balance"),
        valid=receipt.get("valid"),
        promotional=receipt.get("promotional"),
        future=[FutureOut.model_validate(each, strict=False) for each in receipt.get("future", ())],
        stamps=StampsOut(**receipt["stamps"]) if receipt.get("stamps") else None,
        text=printed(receipt, sums, currency=found.currency, language=language, width=width),
    )


def refund_out(
    call: Call,
    found: Refund,
    purchase: Purchase | None = None,
    *,
    language: Language | None = None,
    dry_run: bool = False,
) -> RefundOut:
    """A return as it is now, its words in `language`; without one in the holder's."""
    if purchase is None and found.purchase_id is not None:
        purchase = call.session.get_one(Purchase, found.purchase_id)
    done = found.state is RefundState.DONE
    currency = purchase.currency if purchase else ""
    problem = found.outcome.get("problem")
    returned = shared(found.outcome).certificates if done else ()
    receipt = purchase.receipt if purchase else {}
    spoken: Language = language or receipt.get("language") or "ru"
    scale = receipt.get("scale") or 0
    return RefundOut(
        id=None if dry_run else found.public_id,
        state=found.state,
        source=found.source,
        external_id=found.external_id,
        purchase_id=purchase.public_id if purchase else None,
        purchase_external_id=found.purchase_external_id,
        at=found.at,
        recorded_at=found.recorded_at,
        money=MoneyOut(amount=found.money, currency=currency) if done else None,
        points=found.points_returned,
        certificates=[
            ReturnedCertificate(
                certificate_id=each.id, amount=MoneyOut(amount=each.amount, currency=currency)
            )
            for each in returned
        ],
        taken_back=found.taken_back,
        shortfall=found.shortfall,
        recovered=recovered(found.outcome),
        expired=found.outcome.get("expired", 0),
        balance=found.outcome.get("balance"),
        explanation=[
            ReasonOut(
                code=each.code,
                text=words(each, spoken, currency=currency, scale=scale),
            )
            for each in explained(found)
        ],
        problem=ProblemOut.model_validate(problem) if problem else None,
        dry_run=dry_run,
    )
