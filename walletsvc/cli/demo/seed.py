"""A believable shop: one organisation, three branches, two programmes, forty people, a past."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key, list_keys, revoke_key
from walletsvc.app import Installation
from walletsvc.apple import devcerts
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.cli.demo.people import PEOPLE, Member
from walletsvc.cli.run import ROOT
from walletsvc.core.actor import Actor
from walletsvc.core.errors import InsufficientFunds, NotFound
from walletsvc.enrolment.service import enrol, issue_certificate
from walletsvc.ledger import service as ledger
from walletsvc.merchants.models import Branch, Organisation
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.passes import templates
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_gift_programme, create_points_programme

KEY_NAME: Final = "demo"
SLUG: Final = "nordshore"
TEAM: Final = "WSVCDEMO01"
PASS_TYPES: Final = ("pass.demo.walletsvc.loyalty", "pass.demo.walletsvc.gift")
BRANCHES: Final = (
    ("На набережной", "Набережная, 7"),
    ("На Садовой", "Садовая, 21"),
    ("У вокзала", "Вокзальная площадь, 2"),
)
GIFTS: Final = (
    ("Марина Ковалёва", 300_000, (84_000, 65_000)),
    ("Tom Whitfield", 500_000, (120_500,)),
    ("Игорь и Света", 1_000_000, ()),
    ("", 200_000, (200_000,)),
)
TILL: Final = Actor("till", "demo")


@dataclass(frozen=True)
class Shop:
    """What the story needs of the seeded shop."""

    organisation: Organisation
    branches: list[Branch]
    loyalty: Programme
    gift: Programme


def find(session: Session) -> Shop | None:
    """The demo shop of this database, if it was seeded before."""
    organisation = session.exec(select(Organisation).where(Organisation.slug == SLUG)).first()
    if organisation is None:
        return None
    programmes = {p.slug: p for p in session.exec(select(Programme)).all()}
    branches = session.exec(select(Branch).order_by(Branch.name)).all()
    return Shop(organisation, list(branches), programmes[SLUG], programmes[f"{SLUG}-gift"])


def seed(installation: Installation) -> Shop:
    """Found the shop, or find it when an earlier demo did; all in one transaction."""
    now = installation.clock()
    with installation.database.write_tx() as session:
        shop = find(session)
        if shop is not None:
            return shop
        kinds = devcerts.create(
            session,
            installation.settings,
            pass_type_identifiers=PASS_TYPES,
            team_identifier=TEAM,
            now=now,
        )
        shop = _found(session, now - timedelta(days=200))
        for programme, kind, folder in (
            (shop.loyalty, kinds[0], "loyalty"),
            (shop.gift, kinds[1], "gift"),
        ):
            templates.publish(
                session,
                programme_id=programme.id,
                pass_type_id=kind.id,
                template=templates.load(ROOT / "pass_templates" / folder),
                dialects=installation.publisher.dialects,
                now=now,
            )
        # A fixed seed: every demo shop has the same past, so that screenshots compare.
        dice = random.Random(2026)  # noqa: S311
        for member in PEOPLE:
            _live(session, shop, member, dice, now)
        for gift in GIFTS:
            _give(session, shop, gift, dice, now)
        return shop


def examples(session: Session, shop: Shop) -> tuple[Card, Certificate]:
    """A loyalty card and a gift certificate of the shop, for someone who wants to look."""
    card = session.exec(
        select(Card).where(Card.programme_id == shop.loyalty.id).order_by(col(Card.id))
    ).first()
    gift = session.exec(
        select(Certificate)
        .where(Certificate.programme_id == shop.gift.id)
        .order_by(col(Certificate.id))
    ).first()
    if card is None or gift is None:
        raise NotFound("The demo shop has no cards.")
    return card, gift


def new_key(installation: Installation, shop: Shop) -> str:
    """An API key with every scope, for whoever tries the demo; those of earlier demos end."""
    with installation.database.write_tx() as session:
        for old in list_keys(session, organisation_id=shop.organisation.id):
            if old.name == KEY_NAME and old.revoked_at is None:
                revoke_key(session, old.public_id, now=installation.clock())
        _, secret = create_key(
            session,
            organisation_id=shop.organisation.id,
            name=KEY_NAME,
            scopes=sorted(SCOPES),
            branch_id=None,
            now=installation.clock(),
        )
    return secret


def _found(session: Session, now: datetime) -> Shop:
    organisation = create_organisation(
        session,
        slug=SLUG,
        name="Северный берег",
        phone="+7 812 600-40-20",
        website="https://nordshore.example",
        now=now,
    )
    branches = [
        create_branch(session, organisation_id=organisation.id, name=name, address=address, now=now)
        for name, address in BRANCHES
    ]
    loyalty = create_points_programme(
        session, organisation_id=organisation.id, slug=SLUG, name="Клуб «Северный берег»", now=now
    )
    gift = create_gift_programme(
        session,
        organisation_id=organisation.id,
        slug=f"{SLUG}-gift",
        name="Подарочный сертификат",
        now=now,
    )
    return Shop(organisation, branches, loyalty, gift)


def _live(session: Session, shop: Shop, member: Member, dice: random.Random, now: datetime) -> None:
    """One person joins and then comes by now and then: earns five per cent, sometimes spends."""
    moment = now - timedelta(days=dice.randint(20, 190), minutes=dice.randint(0, 600))
    card = enrol(
        session,
        programme=shop.loyalty,
        phone=member.phone,
        first_name=member.first_name,
        last_name=member.last_name,
        language=member.language,
        actor=TILL,
        now=moment,
    ).card
    ledger.credit(
        session, card.account_id, 100, source="welcome", actor=TILL, reason="Приветственные баллы",
        now=moment, promotional=True,
    )  # fmt: skip
    for _ in range(dice.randint(2, 11)):
        moment += timedelta(days=dice.randint(1, 17), minutes=dice.randint(0, 500))
        if moment >= now:
            return
        branch = dice.choice(shop.branches)
        receipt = dice.randrange(180, 2600, 10)
        if dice.random() < 0.3:
            _spend(session, card.account_id, dice.randrange(20, 160, 10), branch, moment)
        ledger.credit(
            session, card.account_id, max(1, receipt // 20), source="purchase", actor=TILL,
            reason=f"Покупка на {receipt} ₽", now=moment, branch_id=branch.id,
            expires_at=moment + timedelta(days=365),
        )  # fmt: skip


def _spend(
    session: Session, account_id: int, points: int, branch: Branch, moment: datetime
) -> None:
    try:
        ledger.debit(
            session, account_id, points, actor=TILL, reason="Оплата баллами", now=moment,
            branch_id=branch.id,
        )  # fmt: skip
    except InsufficientFunds:
        return  # the guest had fewer points than the dice wished for and paid with money


def _give(
    session: Session,
    shop: Shop,
    gift: tuple[str, int, tuple[int, ...]],
    dice: random.Random,
    now: datetime,
) -> None:
    recipient, face_value, spent = gift
    moment = now - timedelta(days=dice.randint(10, 60))
    certificate = issue_certificate(
        session,
        programme=shop.gift,
        face_value=face_value,
        recipient_name=recipient,
        expires_at=moment + timedelta(days=365),
        branch_id=shop.branches[0].id,
        actor=TILL,
        reason="Продажа сертификата",
        now=moment,
    ).certificate
    for amount in spent:
        moment += timedelta(days=3)
        ledger.debit(
            session, certificate.account_id, amount, actor=TILL, reason="Оплата сертификатом",
            now=moment, branch_id=dice.choice(shop.branches).id,
        )  # fmt: skip
