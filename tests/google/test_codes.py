"""Codes by the time in Google Wallet: the object has the key, the phone makes the code."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session

from tests.apple.samples import described
from tests.conftest import NOW
from tests.google.samples import CONTENT, NAMED, accepted
from tests.google.shop import wanted
from tests.passes.shop import TILL, Shop, certificate, member, open_shop
from walletsvc.cards.codes.models import CardSecret
from walletsvc.cards.models import Card
from walletsvc.emulators.android import card as android
from walletsvc.google.preflight import examine
from walletsvc.google.reconciling.comparing import FIELDS, differing
from walletsvc.google.rendering.objects import Named, ObjectPlan
from walletsvc.passes.code_policies import switch
from walletsvc.passes.content import render
from walletsvc.passes.models import Pass
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.samples import Issuer
from walletsvc.passes.schemas import Content
from walletsvc.programmes.models import CodePolicy
from walletsvc.sales.sale import Caller
from walletsvc.sales.scanning import scan
from walletsvc.storage.engine import Database


def opened(session: Session, policy: CodePolicy, now: datetime) -> tuple[Shop, Card]:
    """A shop of this policy and a member."""
    shop = open_shop(session, now)
    if policy is not CodePolicy.STATIC:
        switch(session, shop.points, policy, actor=TILL, now=now)
    return shop, member(session, shop, now)


@pytest.mark.parametrize("policy", [CodePolicy.TIME_BASED, CodePolicy.ROLLING])
def test_the_phone_shows_the_code_of_the_moment(
    database: Database, now: datetime, policy: CodePolicy
) -> None:
    """As a till takes it, half a minute later another; where it cannot be shown, the number is."""
    with database.write_tx() as session:
        shop, card = opened(session, policy, now)
        made = wanted(session, card, now)
        shown = android.read(made.body, "ru").barcode
        assert shown is not None
        caller = Caller(shop.organisation.id, None, TILL)
        for at in (now, now + timedelta(seconds=30)):
            text = shown.at(at)
            assert (text[:16], len(text)) == (card.number, 24)
            found = scan(session, caller, text, at)
            assert (found.problems, found.presentation is not None) == ((), True)
            assert scan(session, caller, text, at + timedelta(seconds=90)).problems
        assert made.body["barcode"]["value"] == card.number
        assert made.body["rotatingBarcode"]["totpDetails"]["periodMillis"] == "30000"
        assert made.patch()["rotatingBarcode"] == made.body["rotatingBarcode"]
        assert "rotatingBarcode" in FIELDS[made.kind]
        theirs = {**made.body, "rotatingBarcode": None}
        assert differing(theirs, made.body, now) == ["rotatingBarcode"]


def test_the_key_is_nowhere_but_in_the_object(database: Database, now: datetime) -> None:
    """Neither in what is published and digested, nor in what a log may say of an object."""
    with database.write_tx() as session:
        _, card = opened(session, CodePolicy.TIME_BASED, now)
        made = wanted(session, card, now)
        known = session.get_one(CardSecret, card.id)
        content = session.get_one(Pass, made.pass_id).content
        assert known.secret in str(made.body)
        for said in (made, known, content, NAMED):
            assert known.secret not in repr(said)
        assert Content.model_validate(content).as_json() == content
        named = Named("1", "2", "3", "4", known.secret)
        assert known.secret not in repr(named)


def test_a_static_programme_has_nothing_that_rotates(database: Database, now: datetime) -> None:
    """Nor has a certificate; a PATCH takes away what was there."""
    with database.write_tx() as session:
        shop, card = opened(session, CodePolicy.STATIC, now)
        for holder in (card, certificate(session, shop, now)):
            made = wanted(session, holder, now)
            assert made.body["rotatingBarcode"] is None
            assert "rotatingBarcode" in made.patch()
        before = render(session, [wanted(session, card, now).pass_id])
        switch(session, shop.points, CodePolicy.TIME_BASED, actor=TILL, now=now)
        again = member(session, shop, now, phone="+79000001001")
        moved = wanted(session, again, now)
        assert moved.body["rotatingBarcode"]["valuePattern"] == f"{again.number}{{totp_value_0}}"
        # The card from before waits for the job.
        assert render(session, list(before)) == before


@pytest.mark.parametrize(
    ("symbology", "rotating"),
    [("qr", "QR_CODE"), ("pdf417", "PDF_417"), ("aztec", "QR_CODE"), ("code128", "QR_CODE")],
)
def test_google_rotates_two_symbologies(symbology: str, rotating: str) -> None:
    """Others become a QR code, and pre-flight says so where it matters."""
    description = described(
        barcode={"formats": [symbology], "message": "{card_number}", "alt": "{card_number}"}
    )
    named = Named(NAMED.object_id, NAMED.class_id, NAMED.serial, NAMED.page, "ab" * 20)
    content = CONTENT | {"rotating": "9000123412341234{totp_value_0}"}
    made = ObjectPlan(description, "ru").body(content, named, NOW)
    accepted("Object", description, made)
    assert made["rotatingBarcode"]["type"] == rotating
    told = {
        policy: "google-barcode-rotating"
        in {each.code for each in examine(Candidate(description, {}, Issuer(code_policy=policy)))}
        for policy in (CodePolicy.STATIC, CodePolicy.TIME_BASED)
    }
    assert told == {
        CodePolicy.STATIC: False,
        CodePolicy.TIME_BASED: symbology not in ("qr", "pdf417"),
    }
