"""Writing a purchase down: what it posts, the row, its lines and its turnover."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from sqlmodel import Session

from walletsvc.core.ids import public_id
from walletsvc.programmes.rulebook.basket import MILLI
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.tiers.service import add_turnover
from walletsvc.sales.models import Purchase, PurchaseState
from walletsvc.sales.preparing import Prepared
from walletsvc.sales.receipts import figures
from walletsvc.sales.sale import Caller, Reference
from walletsvc.storage.columns import as_read
from walletsvc.storage.statement import Statement

_PURCHASE: Final = Statement("""
WITH purchase AS (
    INSERT INTO purchases (
        id, public_id, organisation_id, branch_id, channel, card_id, account_id, programme_id,
        source, external_id, at, recorded_at, currency, total, discount, paid_points,
        paid_points_money, paid_certificates, paid_money, earned, stamps, tier_amount, tier_before,
        tier_after, rule_version_id, state, corrects_id, request, outcome, receipt, actor)
    VALUES (
        :id, :public_id, :organisation_id, :branch_id, :channel, :card_id, :account_id,
        :programme_id, :source, :external_id, :at, :recorded_at, :currency, :total, :discount,
        :paid_points, :paid_points_money, :paid_certificates, :paid_money, :earned, :stamps,
        :tier_amount, :tier_before, :tier_after, :rule_version_id, :state, :corrects_id, :request,
        :outcome, :receipt, :actor)
), lines AS (
    INSERT INTO purchase_lines (
        purchase_id, position, item, item_group, name, quantity, sum, discount, earned,
        points_paid_money, certificates_money, returned_quantity, returned_sum)
    SELECT :id, position, item, item_group, name, quantity, sum, discount, earned,
           points_paid_money, certificates_money, 0, 0
      FROM json_to_recordset(CAST(:lines AS json)) AS l (
        position int, item text, item_group text, name text, quantity numeric, sum bigint,
        discount bigint, earned bigint, points_paid_money bigint, certificates_money bigint)
)
INSERT INTO purchase_parts (purchase_id, position, kind, transaction_id, amount, certificate_id)
SELECT :id, position, kind, transaction_id, amount, certificate_id
  FROM json_to_recordset(CAST(:parts AS json)) AS p (
    position int, kind text, transaction_id bigint, amount bigint, certificate_id bigint)
""")


def record(
    session: Session,
    caller: Caller,
    prepared: Prepared,
    reference: Reference,
    corrects_id: int | None,
) -> Purchase:
    """Write down the purchase, what it posts and its turnover; the object is not the session's.

    All of it is asked for only: it goes to the database with the next answer that somebody waits
    for, or with the COMMIT.
    """
    transactions = prepared.together.write(prepared.standing.numbers)
    outcome = prepared.outcome.model_dump_json()
    values = _values(caller, prepared, reference, corrects_id)
    as_text = {
        "state": PurchaseState.RECORDED.value,
        "request": orjson.dumps(values["request"]).decode(),
        "outcome": outcome,
        "receipt": orjson.dumps(values["receipt"]).decode(),
        "lines": orjson.dumps(_lines(prepared.outcome)).decode(),
        "parts": orjson.dumps(_parts(prepared, transactions)).decode(),
    }
    _PURCHASE.ask(session, values | as_text)
    if (account := prepared.account) is not None and prepared.facts.card is not None:
        zone = ZoneInfo(prepared.facts.card.programme.time_zone)
        day = prepared.at.astimezone(zone).date()
        add_turnover(session, account.id, caller.organisation_id, day, values["tier_amount"])
    return as_read(Purchase, values | {"outcome": orjson.loads(outcome)})


def _parts(prepared: Prepared, transactions: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "position": number,
            "kind": part.kind.value,
            "transaction_id": transactions[part.place],
            "amount": part.amount,
            "certificate_id": part.certificate.id if part.certificate else None,
        }
        for number, part in enumerate(prepared.parts)
    ]


def _values(
    caller: Caller, prepared: Prepared, reference: Reference, corrects_id: int | None
) -> dict[str, Any]:
    """Every column but the outcome."""
    facts, outcome, card = prepared.facts, prepared.outcome, prepared.facts.card
    account = prepared.account
    certificates = sum(tender.amount for tender in outcome.paid_with_certificates)
    return {
        "id": prepared.standing.number,
        "public_id": public_id(),
        "organisation_id": caller.organisation_id,
        "branch_id": prepared.branch.id if prepared.branch else None,
        "channel": prepared.sale.channel,
        "card_id": card.id if card else None,
        "account_id": account.id if account else None,
        "programme_id": card.programme.id if card else None,
        "source": reference.source,
        "external_id": reference.external_id,
        "at": prepared.at,
        "recorded_at": prepared.together.now,
        "currency": prepared.sale.currency,
        "total": outcome.sum,
        "discount": outcome.discount,
        "paid_points": prepared.points,
        "paid_points_money": outcome.points_money,
        "paid_certificates": certificates,
        "paid_money": outcome.money,
        "earned": outcome.earned,
        "stamps": outcome.stamps,
        "tier_amount": outcome.turnover if facts.card else 0,
        "tier_before": outcome.tier,
        "tier_after": outcome.tier_after,
        "rule_version_id": card.version.id if card and card.version else None,
        "state": PurchaseState.RECORDED,
        "corrects_id": corrects_id,
        "request": prepared.sale.content(),
        "receipt": figures(prepared),
        "actor": str(caller.actor),
    }


def _lines(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {
            "position": number,
            "item": line.item,
            "item_group": line.group,
            "name": line.name,
            "quantity": str(Decimal(line.milli) / MILLI),
            "sum": line.sum,
            "discount": line.discount,
            "earned": line.earned,
            "points_paid_money": line.points_money,
            "certificates_money": sum(line.certificates),
        }
        for number, line in enumerate(outcome.lines)
    ]
