"""A balance explained, without code, phone or name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, or_, select

from walletsvc.cards.models import Card
from walletsvc.cards.rules import number_valid
from walletsvc.certificates.models import Certificate
from walletsvc.cli.ledger.tables import columns
from walletsvc.core.errors import NotFound
from walletsvc.core.money import decimal_text
from walletsvc.ledger import queries
from walletsvc.ledger.models import Account, Unit
from walletsvc.ledger.queries import Explanation, LotRow

_LAST = 10


@dataclass(frozen=True)
class Subject:
    """What is to be explained: words for it, and its account."""

    words: str
    account: Account


def find(session: Session, text: str) -> Subject:
    """Whatever has this number or id; raises NotFound.

    An account that was merged into another is explained as that other one.
    """
    number = text.replace(" ", "")
    if number_valid(number):
        card = session.exec(select(Card).where(Card.number == number)).first()
    else:
        card = session.exec(select(Card).where(Card.public_id == text)).first()
    if card is not None:
        return Subject(f"card {card.public_id}", _heir(session, card.account_id))
    certificate = session.exec(select(Certificate).where(Certificate.public_id == text)).first()
    if certificate is not None:
        words = f"certificate {certificate.public_id}"
        return Subject(words, _heir(session, certificate.account_id))
    account = session.exec(
        select(Account).where(
            Account.public_id == text,
            or_(Account.kind == "customer", Account.kind == "certificate"),
        )
    ).first()
    if account is None:
        raise NotFound("There is no card, certificate or account with this number or id.")
    heir = _heir(session, account.id)
    merged = f", merged into {heir.public_id}" if heir.id != account.id else ""
    return Subject(f"account {account.public_id}{merged}", heir)


def _heir(session: Session, account_id: int) -> Account:
    account = session.get_one(Account, account_id)
    while account.merged_into_id is not None:
        account = session.get_one(Account, account.merged_into_id)
    return account


def text(session: Session, subject: Subject, now: datetime) -> str:
    """The explanation, in lines."""
    account = subject.account
    explanation = queries.explain(session, account.id).settled(now)
    unit = session.exec(select(Unit).where(col(Unit.id) == account.unit_id)).one()

    def amount(value: int) -> str:
        return decimal_text(value, unit.scale)

    lines = [subject.words, "", *_summary(explanation, unit, account.closed_at, now)]
    matured = [lot for lot in explanation.lots if lot.matured]
    later = explanation.future
    if matured:
        lines += ["", "Lots, in the order in which they pay", *_lots(matured, unit.scale, now)]
    if later:
        lines += ["", "Not yet available", *_lots(later, unit.scale, now)]
    if explanation.holds:
        held = [("held", "until", "hold")]
        held += [
            (amount(hold.amount), f"{hold.expires_at:%Y-%m-%d %H:%M}", hold.public_id)
            for hold in explanation.holds
        ]
        lines += ["", "Reserved", *columns(held, "r")]
    rows = [("when", "what", "amount", "balance", "reason")]
    rows += [
        (
            f"{row.at:%Y-%m-%d %H:%M}",
            row.type.value,
            amount(row.amount),
            amount(row.balance_after or 0),
            row.reason,
        )
        for row in queries.history(session, account.id, limit=_LAST)
    ]
    if len(rows) > 1:
        lines += ["", "Last movements", *columns(rows, "  rr")]
    return "\n".join(lines)


def _summary(
    found: Explanation, unit: Unit, closed_at: datetime | None, now: datetime
) -> Iterator[str]:
    values = {
        "unit": unit.code,
        "balance": decimal_text(found.balance, unit.scale),
        "held": decimal_text(found.held, unit.scale),
        "available": decimal_text(found.available(now), unit.scale),
    }
    if found.balance < 0:
        values["debt"] = decimal_text(-found.balance, unit.scale)
    if found.min_balance:
        values["lowest"] = decimal_text(found.min_balance, unit.scale)
    if closed_at is not None:
        values["closed"] = f"{closed_at:%Y-%m-%d %H:%M}"
    values["times"] = "UTC"
    for name, value in values.items():
        yield f"{name:<10}{value}"


def _lots(lots: list[LotRow], scale: int, now: datetime) -> Iterator[str]:
    rows = [("left", "of", "held", "earned", "from", "until", "source", "reason")]
    for lot in lots:
        until = "" if lot.expires_at is None else f"{lot.expires_at:%Y-%m-%d %H:%M}"
        ended = lot.expires_at is not None and lot.expires_at <= now
        rows.append(
            (
                decimal_text(lot.remaining, scale),
                decimal_text(lot.original, scale),
                decimal_text(lot.held, scale),
                f"{lot.earned_at:%Y-%m-%d}",
                f"{lot.available_from:%Y-%m-%d %H:%M}",
                f"{until} (over)" if ended else until,
                f"{lot.source}, promotional" if lot.promotional else lot.source,
                lot.reason,
            )
        )
    return columns(rows, "rrr")
