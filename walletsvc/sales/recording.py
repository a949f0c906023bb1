"""Writing a purchase down: what it posts, the row, its lines and its turnover, at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from walletsvc.core.ids import public_id
from walletsvc.ledger.together import Beside
from walletsvc.programmes.rulebook.basket import MILLI
from walletsvc.programmes.rulebook.outcome import Outcome
from walletsvc.programmes.tiers.service import NOT_TIERED, STORED, Planned
from walletsvc.sales.models import Purchase, PurchaseState
from walletsvc.sales.preparing import Prepared
from walletsvc.sales.receipts import figures
from walletsvc.sales.sale import Caller, Reference
from walletsvc.storage.columns import as_read

_RECORD: Final = Beside(
    f"""
purchase AS (
    INSERT INTO purchases (
        public_id, organisation_id, branch_id, channel, card_id, account_id, programme_id, source,
        external_id, at, recorded_at, currency, total, discount, paid_points, paid_points_money,
        paid_certificates, paid_money, earned, stamps, tier_amount, tier_before, tier_after,
        rule_version_id, state, corrects_id, request, outcome, receipt, actor)
    VALUES (
        :public_id, :organisation_id, CAST(:branch_id AS bigint), CAST(:channel AS text),
        CAST(:card_id AS bigint), CAST(:account_id AS bigint), CAST(:programme_id AS bigint),
        :source, :external_id, :sold_at, :recorded_at, :currency, :total, :discount, :paid_points,
        :paid_points_money, :paid_certificates, :paid_money, :earned, :stamps, :tier_amount,
        CAST(:tier_before AS text), CAST(:tier_after AS text), CAST(:rule_version_id AS bigint),
        :state, CAST(:corrects_id AS bigint), CAST(:request AS jsonb), CAST(:outcome AS jsonb),
        CAST(:receipt AS jsonb), :actor)
    RETURNING id
), lines AS (
    INSERT INTO purchase_lines (
        purchase_id, position, item, item_group, name, quantity, sum, discount, earned,
        points_paid_money, certificates_money, returned_quantity, returned_sum)
    SELECT purchase.id, l.position, l.item, l.item_group, l.name, l.quantity, l.sum, l.discount,
           l.earned, l.points_paid_money, l.certificates_money, 0, 0
      FROM purchase, json_to_recordset(CAST(:lines AS json)) AS l (
        position int, item text, item_group text, name text, quantity numeric, sum bigint,
        discount bigint, earned bigint, points_paid_money bigint, certificates_money bigint)
), parts AS (
    INSERT INTO purchase_parts (
        purchase_id, position, kind, transaction_id, amount, certificate_id)
    SELECT purchase.id, p.position, p.kind, given.id, p.amount, p.certificate_id
      FROM purchase, given JOIN json_to_recordset(CAST(:parts AS json)) AS p (
        position int, kind text, place int, amount bigint, certificate_id bigint)
        ON p.place = given.n
), turned AS (
    INSERT INTO turnover (account_id, organisation_id, day, amount)
    SELECT CAST(:account_id AS bigint), :organisation_id, CAST(:day AS date), :tier_amount
     WHERE CAST(:account_id AS bigint) IS NOT NULL AND :tier_amount <> 0
    ON CONFLICT (account_id, organisation_id, day)
    DO UPDATE SET amount = turnover.amount + excluded.amount
), tiered AS ({STORED})
""",  # noqa: S608 - the parts are ours
    answer="(SELECT id FROM purchase)",
)


def record(
    caller: Caller,
    prepared: Prepared,
    reference: Reference,
    corrects_id: int | None,
    planned: Planned | None,
) -> Purchase:
    """Write down the purchase, what it posts and the tier `planned` for its account; the object is
    not the session's."""
    outcome = prepared.outcome.model_dump_json()
    values = _values(caller, prepared, reference, corrects_id)
    card = prepared.facts.card
    zone = ZoneInfo(card.programme.time_zone) if card else None
    parts = [
        {
            "position": number,
            "kind": part.kind.value,
            "place": part.place,
            "amount": part.amount,
            "certificate_id": part.certificate.id if part.certificate else None,
        }
        for number, part in enumerate(prepared.parts)
    ]
    id_ = prepared.together.write(
        _RECORD,
        values
        | (planned.values if planned else NOT_TIERED)
        | {
            "sold_at": prepared.at,
            "state": PurchaseState.RECORDED.value,
            "request": orjson.dumps(values["request"]).decode(),
            "outcome": outcome,
            "receipt": orjson.dumps(values["receipt"]).decode(),
            "lines": orjson.dumps(_lines(prepared.outcome)).decode(),
            "parts": orjson.dumps(parts).decode(),
            "day": prepared.at.astimezone(zone).date() if zone else None,
        },
    )
    return as_read(Purchase, values | {"id": id_, "outcome": orjson.loads(outcome)})


def _values(
    caller: Caller, prepared: Prepared, reference: Reference, corrects_id: int | None
) -> dict[str, Any]:
    """Every column but the id and the outcome."""
    facts, outcome, card = prepared.facts, prepared.outcome, prepared.facts.card
    account = prepared.account
    certificates = sum(tender.amount for tender in outcome.paid_with_certificates)
    return {
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
