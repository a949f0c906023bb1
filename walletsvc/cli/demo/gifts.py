"""Gift certificates in every state that one can be in."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import Session

from walletsvc.certificates import service
from walletsvc.certificates.models import Certificate, Origin
from walletsvc.cli.demo.shop import TILL, Shop, ends_after, past_noon
from walletsvc.enrolment.certificates import transfer_certificate
from walletsvc.enrolment.service import issue_certificate
from walletsvc.ledger.models import Transaction
from walletsvc.merchants.models import Branch


def live(session: Session, shop: Shop, now: datetime) -> None:
    """Sold, given, used in parts in many places, expired, blocked, handed on, paid out."""
    desk = _Desk(session, shop, now)
    first, second, third = shop.branches
    desk.partly_used()

    certificate = desk.issue(500_000, "Tom Whitfield", 33, language="en")
    desk.redeem(certificate, 120_500, second, 20)
    desk.issue(1_000_000, "Игорь и Света", 12)
    certificate = desk.issue(200_000, "", 41)
    desk.redeem(certificate, 200_000, third, 38)

    certificate = desk.issue(
        100_000, "Нина Осипова", 25, origin=Origin.FREE, reason="Розыгрыш ко дню рождения кофейни"
    )
    desk.redeem(certificate, 34_000, first, 9)

    certificate = desk.issue(150_000, "Павел и Лена", 120, valid_days=100)
    desk.redeem(certificate, 43_000, second, 77)
    if certificate.expires_at is not None:
        service.note_expired(session, certificate.expires_at)

    certificate = desk.issue(250_000, "Глеб Старцев", 30)
    service.block(session, certificate, actor=TILL, reason="Владелец потерял код", now=desk.ago(6))
    certificate = desk.issue(300_000, "Оля", 28)
    desk.redeem(certificate, 80_000, first, 21)
    transfer_certificate(
        session, certificate, recipient_name="Катя", actor=TILL, reason="Передарила подруге",
        now=desk.ago(14),
    )  # fmt: skip
    certificate = desk.issue(120_000, "Роман", 50)
    service.pay_out(
        session, certificate, branch_id=first.id, actor=TILL, reason="Заявление", now=desk.ago(16)
    )
    desk.hotels(third)


class _Desk:
    """Where certificates are sold and taken, so many days ago."""

    def __init__(self, session: Session, shop: Shop, now: datetime) -> None:
        self._session = session
        self._shop = shop
        self._noon = past_noon(now)

    def ago(self, days: float) -> datetime:
        """That moment, counted from the last noon."""
        return self._noon - timedelta(days=days)

    def issue(
        self,
        face_value: int,
        recipient: str,
        days: float,
        *,
        language: str = "ru",
        origin: Origin = Origin.PAID,
        reason: str = "Продажа сертификата",
        valid_days: int = 365,
    ) -> Certificate:
        """One of the chain's, with passes."""
        return issue_certificate(
            self._session,
            programme=self._shop.gift,
            face_value=face_value,
            origin=origin,
            recipient_name=recipient,
            language=language,
            expires_at=ends_after(self._shop.gift, valid_days, self.ago(days)),
            branch_id=self._shop.branches[0].id,
            actor=TILL,
            reason=reason,
            now=self.ago(days),
        ).certificate

    def redeem(
        self, certificate: Certificate, amount: int, branch: Branch, days: float
    ) -> Transaction:
        """Pay with it there."""
        return service.redeem(
            self._session,
            certificate,
            amount,
            acceptor_id=branch.organisation_id,
            branch_id=branch.id,
            actor=TILL,
            reason="Оплата сертификатом",
            now=self.ago(days),
        )

    def partly_used(self) -> None:
        """At another branch and at the hotel, which gave a part back."""
        certificate = self.issue(300_000, "Марина Ковалёва", 58)
        restaurant = self._shop.restaurant
        self.redeem(certificate, 84_000, self._shop.branches[1], 52)
        dinner = self.redeem(certificate, 95_000, restaurant, 47)
        service.refund(
            self._session, certificate, dinner.public_id, amount=30_000,
            organisation_id=restaurant.organisation_id, branch_id=restaurant.id, actor=TILL,
            reason="Десерт не подали", now=self.ago(46.9),
        )  # fmt: skip

    def hotels(self, branch: Branch) -> None:
        """One of the hotel's, which prints them on paper: no passes; used at the chain."""
        certificate, _ = service.issue(
            self._session,
            programme=self._shop.hotel_gift,
            face_value=200_000,
            recipient_name="Вадим",
            expires_at=ends_after(self._shop.hotel_gift, 180, self.ago(26)),
            branch_id=self._shop.restaurant.id,
            actor=TILL,
            reason="Продажа сертификата",
            now=self.ago(26),
        )
        self.redeem(certificate, 56_000, branch, 19)
