"""A coalition that sells: a café with points, tiers and gift certificates, and a partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from tests.certificates.shop import gift_programme
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards.models import Card
from walletsvc.cards.service import issue_card
from walletsvc.certificates import issuing
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.core.actor import Actor
from walletsvc.ledger import queries, service
from walletsvc.ledger.models import Hold
from walletsvc.ledger.verify import differences
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.models import Branch, Organisation
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.people.service import find_or_create_person
from walletsvc.programmes import versions
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook.basket import Basket
from walletsvc.programmes.rulebook.refunds import Returned
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.programmes.service import create_points_programme
from walletsvc.sales import correcting, purchasing, quoting, refunding
from walletsvc.sales.models import Purchase, Refund
from walletsvc.sales.preparing import Prepared
from walletsvc.sales.purchasing import Recorded
from walletsvc.sales.sale import Caller, Reference, Return, Sale
from walletsvc.sales.sale import Certificate as Tender
from walletsvc.storage.engine import Database

TILL = Actor("api-key", "till")
BOOK: dict[str, Any] = {
    "tiers": [
        {"code": "bronze", "name": {"ru": "Бронза", "en": "Bronze"}, "threshold": 0},
        {"code": "gold", "name": {"ru": "Золото", "en": "Gold"}, "threshold": 100_000},
    ],
    "earn": {"percent_by_tier": {"bronze": "5", "gold": "10"}},
    "spend": {"max_share_percent": "50"},
    "lifetime": {"months": 12},
}


@dataclass
class Café:
    """Short forms of the use cases; each opens a transaction of its own."""

    database: Database
    now: datetime
    cafe: Organisation
    partner: Organisation
    branch: Branch
    programme: Programme
    gifts: Programme
    numbers: int = field(default=0)

    def caller(
        self, organisation: Organisation | None = None, branch: Branch | None = None
    ) -> Caller:
        """A till: of the café's branch unless said otherwise."""
        if organisation is None or organisation.id == self.cafe.id:
            return Caller(self.cafe.id, (branch or self.branch).id, TILL)
        return Caller(organisation.id, branch.id if branch else None, TILL)

    def publish(self, book: dict[str, Any], at: datetime | None = None) -> None:
        """These rules from now on."""
        with self.database.write_tx() as session:
            checked = RuleBook.model_validate(book)
            versions.save_draft(session, self.programme, checked, TILL, "", at or self.now)
            versions.publish(session, self.programme, TILL, at or self.now)

    def card(self, points: int = 0, **options: Any) -> Card:
        """A new card with so many points."""
        self.numbers += 1
        with self.database.write_tx() as session:
            person = find_or_create_person(
                session,
                organisation_id=self.cafe.id,
                phone=f"+7900{1_000_000 + self.numbers}",
                first_name=f"Гость {self.numbers}",
                now=self.now,
            )
            card = issue_card(session, person=person, programme=self.programme, now=self.now)
        if points:
            self.credit(card, points, **options)
        return card

    def credit(self, card: Card, points: int, **options: Any) -> None:
        """Points by hand."""
        with self.database.write_tx() as session:
            service.credit(
                session,
                card.account_id,
                points,
                **{"source": "manual", "actor": TILL, "reason": "test", "now": self.now, **options},
            )

    def certificate(self, amount: int, **options: Any) -> Certificate:
        """A new certificate that was paid for."""
        with self.database.write_tx() as session:
            return issuing.issue(
                session,
                programme=self.gifts,
                face_value=amount,
                origin=Origin.PAID,
                actor=TILL,
                reason="test",
                now=self.now,
                **options,
            )[0]

    def hold(self, account_id: int, amount: int, **options: Any) -> Hold:
        """Reserve value."""
        with self.database.write_tx() as session:
            return service.hold(
                session,
                account_id,
                amount,
                **{
                    "acceptor_id": self.cafe.id,
                    "actor": TILL,
                    "reason": "test",
                    "now": self.now,
                    "expires_at": self.now + timedelta(minutes=15),
                    **options,
                },
            )

    def sale(
        self, card: Card | None, total: int | Sequence[dict[str, Any]], **options: Any
    ) -> Sale:
        """A bill; `certificates` are pairs of a certificate and what it pays."""
        bill = {"total": total} if isinstance(total, int) else {"lines": total}
        tenders = tuple(
            Tender(each.public_id, amount, *rest)
            for each, amount, *rest in options.pop("certificates", ())
        )
        return Sale(
            basket=Basket.model_validate(bill),
            currency="RUB",
            card=card.public_id if card else None,
            certificates=tenders,
            **options,
        )

    def buy(
        self,
        card: Card | None,
        total: int | Sequence[dict[str, Any]],
        *,
        name: str | None = None,
        by: Caller | None = None,
        now: datetime | None = None,
        **options: Any,
    ) -> Purchase:
        """Record a purchase."""
        return self.record(self.sale(card, total, **options), name, by, now).purchase

    def record(
        self,
        sale: Sale,
        name: str | None = None,
        by: Caller | None = None,
        now: datetime | None = None,
    ) -> Recorded:
        """Record a sale under a name of its own unless one is given."""
        self.numbers += 1
        with self.database.write_tx() as session:
            return purchasing.purchase(
                session,
                by or self.caller(),
                sale,
                Reference("pos", name or f"R-{self.numbers}"),
                now or self.now,
            )

    def quote(self, sale: Sale, by: Caller | None = None, now: datetime | None = None) -> Prepared:
        """What it would be."""
        with self.database.write_tx() as session:
            return quoting.quote(session, by or self.caller(), sale, now or self.now)

    def refund(
        self,
        purchase: Purchase,
        *,
        name: str | None = None,
        now: datetime | None = None,
        by: Caller | None = None,
        **returned: Any,
    ) -> Refund:
        """Take a return of everything that is left, unless `lines` or a `sum` is given."""
        self.numbers += 1
        with self.database.write_tx() as session:
            return refunding.refund(
                session,
                by or self.caller(),
                purchase.public_id,
                Reference("pos", name or f"B-{self.numbers}"),
                Return(Returned.model_validate(returned), "test"),
                now or self.now,
            )

    def refund_early(self, original: str, *, name: str | None = None, **returned: Any) -> Refund:
        """Take a return by the receipt's number."""
        self.numbers += 1
        with self.database.write_tx() as session:
            return refunding.refund_by_reference(
                session,
                self.caller(),
                Reference("pos", original),
                Reference("pos", name or f"B-{self.numbers}"),
                Return(Returned.model_validate(returned), "test"),
                self.now,
            )

    def correct(
        self, purchase: Purchase, sale: Sale, name: str | None = None, by: Caller | None = None
    ) -> Recorded:
        """Record another purchase in its place."""
        self.numbers += 1
        with self.database.write_tx() as session:
            return correcting.correct(
                session,
                by or self.caller(),
                purchase.public_id,
                sale,
                Reference("pos", name or f"K-{self.numbers}"),
                "test",
                self.now,
            )

    def available(self, card: Card, now: datetime | None = None) -> int:
        """What the card may spend."""
        with self.database.read_tx() as session:
            found = session.get_one(Card, card.id)
            return queries.explain(session, found.account_id).available(now or self.now)

    def left(self, certificate: Certificate) -> int:
        """What is on a certificate."""
        with self.database.read_tx() as session:
            return queries.balance(session, certificate.account_id)

    def lots(self, card: Card) -> list[tuple[Any, ...]]:
        """The card's lots that are not used up: what, and their dates."""
        return self.all(
            "SELECT remaining, earned_at, available_from, expires_at FROM lots"
            " WHERE account_id = (SELECT account_id FROM cards WHERE id = :card)"
            " AND remaining > 0 ORDER BY id",
            card=card.id,
        )

    def turnover(self, card: Card) -> int:
        """What the card's account bought."""
        rows = self.all(
            "SELECT coalesce(sum(amount), 0)::bigint FROM turnover"
            " WHERE account_id = (SELECT account_id FROM cards WHERE id = :card)",
            card=card.id,
        )
        return int(rows[0][0])

    def tier(self, card: Card) -> str | None:
        """The tier of the card's account."""
        rows = self.all(
            "SELECT tier FROM account_tiers"
            " WHERE account_id = (SELECT account_id FROM cards WHERE id = :card)",
            card=card.id,
        )
        return str(rows[0][0]) if rows else None

    def all(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with self.database.read_tx() as session:
            return [tuple(row) for row in session.execute(text(statement), parameters)]

    def clean(self) -> bool:
        """Whether `ledger verify` finds nothing; what it finds is in the error."""
        with self.database.read_tx() as session:
            found = list(differences(session, LEDGER_CHECKS))
        assert found == []
        return True


def open_café(database: Database, now: datetime, book: dict[str, Any] | None = None) -> Café:
    """A café whose rules were published a week ago, and a partner that accepts its value."""
    with database.write_tx() as session:
        cafe = create_organisation(session, slug="cafe", name="Кафе", now=now)
        partner = create_organisation(session, slug="partner", name="Отель", now=now)
        branch = create_branch(session, organisation_id=cafe.id, name="Невский", now=now)
        programme = create_points_programme(
            session, organisation_id=cafe.id, slug="club", name="Клуб", now=now
        )
        gifts = gift_programme(session, cafe.id, now)
        accept(session, cafe, partner, points=True, certificates=True, now=now)
    café = Café(database, now, cafe, partner, branch, programme, gifts)
    café.publish(book or BOOK, now - timedelta(days=7))
    return café
