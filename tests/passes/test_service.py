"""Passes come with their cards and are found by the page's token."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import pytest
from sqlmodel import Session, select

from tests.passes.shop import DIALECTS, certificate, member, open_shop
from walletsvc.core.errors import Refused
from walletsvc.passes.models import Pass, PassTemplate, TemplateVersion, VersionState, Wallet
from walletsvc.passes.protocol import Dialect
from walletsvc.passes.service import create_passes, ensure_pass, find_by_link
from walletsvc.storage.engine import Database


def test_a_new_card_has_an_unpublished_pass(database: Database, now: datetime) -> None:
    """Serial and token are its own; nothing is built before somebody asks."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        cards = [member(session, shop, now, phone=f"+7900000100{n}") for n in (1, 2)]
        passes = session.exec(select(Pass)).all()
    assert [p.card_id for p in passes] == [c.id for c in cards]
    assert {p.pass_type_id for p in passes} == {shop.points_type.id}
    assert len({p.serial for p in passes}) == len({p.auth_token for p in passes}) == 2
    assert all(p.content is None and p.version_id is None for p in passes)


def test_a_programme_without_a_template_is_refused(database: Database, now: datetime) -> None:
    """The operator is told what to run."""
    with database.write_tx() as session:
        shop = open_shop(session, now, published=False)
        with pytest.raises(Refused, match="'guest' has no published template"):
            member(session, shop, now)


def test_a_retired_template_makes_no_passes(database: Database, now: datetime) -> None:
    """Only a published version says what a card looks like."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        for version in session.exec(select(TemplateVersion)):
            version.state = VersionState.RETIRED
        session.flush()
        with pytest.raises(Refused, match="'guest' has no published template"):
            member(session, shop, now)


def test_a_pass_belongs_to_exactly_one_holder(database: Database, now: datetime) -> None:
    """Neither and both are mistakes of the caller."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card, gift = member(session, shop, now), certificate(session, shop, now)
        for one, other in ((None, None), (card, gift)):
            with pytest.raises(ValueError, match="either"):
                create_passes(session, programme=shop.points, now=now, card=one, certificate=other)


def test_a_page_token_opens_its_card_only(database: Database, now: datetime) -> None:
    """Cards and certificates share one kind of link."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        card, gift = member(session, shop, now), certificate(session, shop, now)
        for token, card_id, gift_id in (
            (card.link_token, card.id, None),
            (gift.link_token, None, gift.id),
        ):
            found = find_by_link(session, token)
            assert found is not None
            assert (found.card.id if found.card else None) == card_id
            assert (found.certificate.id if found.certificate else None) == gift_id
            pass_ = found.passes[Wallet.APPLE]
            assert (pass_.card_id, pass_.certificate_id) == (card_id, gift_id)
        for token in ("", "nope", card.public_id, card.number, card.link_token[:-1]):
            assert find_by_link(session, token) is None


class _Other:
    """Another wallet, as far as making passes is concerned."""

    wallet = Wallet.GOOGLE

    def __init__(self, pass_type_id: int) -> None:
        self._pass_type_id = pass_type_id

    def pass_type_id(self, session: Session, template: PassTemplate, now: datetime) -> int:
        return self._pass_type_id


def test_a_pass_in_another_wallet_is_made_when_it_is_wanted(
    database: Database, now: datetime
) -> None:
    """Also for cards that are older than the wallet; Apple's stays as it is."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        for holder in (member(session, shop, now), certificate(session, shop, now)):
            subject = find_by_link(session, holder.link_token)
            assert subject is not None
            apple = subject.passes[Wallet.APPLE]
            other = cast("Dialect", _Other(shop.gift_type.id))
            made = ensure_pass(session, subject, other, now)
            assert (made.card_id, made.certificate_id) == (apple.card_id, apple.certificate_id)
            assert (made.wallet, made.pass_type_id) == (Wallet.GOOGLE, shop.gift_type.id)
            assert (made.template_id, made.revision, made.created_at) == (apple.template_id, 0, now)
            assert {made.serial, made.auth_token}.isdisjoint({apple.serial, apple.auth_token})
            again = find_by_link(session, holder.link_token)
            assert again is not None
            assert again.passes == {Wallet.APPLE: apple, Wallet.GOOGLE: made}
            assert ensure_pass(session, again, other, now) is made
            assert ensure_pass(session, again, DIALECTS[0], now) is apple


def test_without_a_published_template_no_pass_is_made(database: Database, now: datetime) -> None:
    """The visitor is told, as the shop is when a card is issued."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        subject = find_by_link(session, member(session, shop, now).link_token)
        assert subject is not None
        for version in session.exec(select(TemplateVersion)):
            version.state = VersionState.RETIRED
        session.flush()
        with pytest.raises(Refused, match="'guest' has no published template"):
            ensure_pass(session, subject, cast("Dialect", _Other(shop.gift_type.id)), now)
