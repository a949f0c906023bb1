"""Contactless passes: from the template to pass.json, and only under a certificate for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlmodel import Session, select

from tests.apple.material import chain, document, pem, unpack
from tests.apple.preflight.candidates import candidate, examined, told
from tests.apple.preflight.test_document import P256, spki
from tests.apple.samples import CONTENT, IDENTITY, IMAGES, described
from tests.passes.shop import DIALECTS, Shop, member, open_shop, plain, product_template
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.apple.package import build, prepare
from walletsvc.core.errors import Refused
from walletsvc.passes.content import render
from walletsvc.passes.findings import Severity
from walletsvc.passes.folder import LoadedTemplate
from walletsvc.passes.models import Pass, TemplateVersion
from walletsvc.passes.schemas import Content, Description, Nfc
from walletsvc.passes.templates import publish
from walletsvc.storage.engine import Database

NFC: dict[str, Any] = {"message": "{card_number}", "encryption_public_key": P256}


def leaf(name: str) -> x509.Certificate:
    """A certificate of that common name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime(2026, 1, 1)  # noqa: DTZ001 - certificates count in UTC
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now.replace(year=2027))
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"message": "{card_number}{card_number}{card_number}{card_number}:"}, "nfc-message", "65"),
        ({"encryption_public_key": "x"}, "nfc-key", "not base64"),
        ({"encryption_public_key": "AAAA"}, "nfc-key", "not a public key"),
        ({"encryption_public_key": spki(ec.SECP384R1())}, "nfc-key", "P-256"),
        ({"encryption_public_key": spki(None)}, "nfc-key", "P-256"),
    ],
)
def test_what_terminals_could_not_use_is_an_error(
    changes: dict[str, str], code: str, words: str
) -> None:
    """For any card number, not just for short ones."""
    (found,) = told(examined(candidate(nfc=NFC | changes)), code)
    assert found.severity is Severity.ERROR
    assert words in found.message
    message = "{card_number}{card_number}{card_number}{card_number}"  # 64 bytes
    assert told(examined(candidate(nfc=NFC | {"message": message})), code) == []


def test_without_nfc_nothing_changes() -> None:
    """Digests of templates and passes stay what they were."""
    assert "nfc" not in described().model_dump(mode="json")
    stored = described(nfc=NFC).model_dump(mode="json")
    assert Description.model_validate(stored).nfc == Nfc(**NFC)
    assert "nfc" not in Content.model_validate(CONTENT).as_json()


def test_the_pass_tells_terminals_only_under_a_certificate_for_it() -> None:
    """Otherwise Wallet refuses the whole pass; so it goes without."""
    description = described(nfc=NFC | {"requires_authentication": True})
    prepared = prepare(description, IMAGES)
    content = CONTENT | {"nfc": "9000123412341234"}

    def made(nfc: bool, said: dict[str, Any] = content) -> dict[str, Any]:
        return document(unpack(build(prepared, chain().signer, replace(IDENTITY, nfc=nfc), said)))

    assert made(True)["nfc"] == {
        "message": "9000123412341234",
        "encryptionPublicKey": P256,
        "requiresAuthentication": True,
    }
    assert "nfc" not in made(False)
    assert "nfc" not in made(True, CONTENT)


def with_nfc(message: str = "{card_number}") -> LoadedTemplate:
    template = plain(product_template("loyalty"))
    nfc = Nfc(message=message, encryption_public_key=P256)
    return replace(template, description=template.description.model_copy(update={"nfc": nfc}))


def sign_with(session: Session, shop: Shop, certificate: x509.Certificate, now: datetime) -> None:
    for former in session.exec(select(SigningCertificate)):
        former.state = CertificateState.RETIRED
    session.flush()
    session.add(
        SigningCertificate(
            pass_type_id=shop.points_type.id,
            certificate_pem=pem(certificate).decode(),
            chain_pem="",
            key_file="",
            state=CertificateState.ACTIVE,
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
            not_before=now,
            not_after=now,
            created_at=now,
        )
    )
    session.flush()


def publish_nfc(session: Session, shop: Shop, now: datetime) -> TemplateVersion:
    return publish(
        session,
        programme_id=shop.points.id,
        pass_type_id=shop.points_type.id,
        template=with_nfc(),
        dialects=DIALECTS,
        now=now,
    )


def test_publishing_it_takes_a_certificate_for_it(database: Database, now: datetime) -> None:
    """With none, and with a plain one, it is refused in words; then the card number is told."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        with pytest.raises(Refused, match="no certificate at all"):
            publish_nfc(session, shop, now)
        sign_with(session, shop, leaf("Pass Type ID: pass.test.points"), now)
        with pytest.raises(Refused, match="phones would refuse every pass"):
            publish_nfc(session, shop, now)
        sign_with(session, shop, leaf("Pass Type ID with NFC: pass.test.points"), now)
        publish_nfc(session, shop, now)
        card = member(session, shop, now)
        pass_ids = session.exec(select(Pass.id).where(Pass.card_id == card.id)).all()
        assert [r.content["nfc"] for r in render(session, pass_ids).values()] == [card.number]
