"""The phone's judgement of a package: what it takes, and that it notices every fault."""

from __future__ import annotations

import io
import random
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.emulators.phone import handmade
from tests.emulators.phone.faults import PACKAGE_FAULTS
from tests.emulators.phone.handmade import Recipe, authority
from tests.emulators.phone.judge import opened, refusal, refused_or_opened


def test_a_good_package_opens() -> None:
    """Identity, fields, texts, chain and signing time are read; there is nothing to note."""
    package = opened(handmade.package())
    assert (package.pass_type, package.serial) == (handmade.PASS_TYPE, "card-1")
    assert package.values == {"points": 100, "name": "Анна", "since": "2026-01-31T10:00:00+03:00"}
    assert package.text("points_label", "ru") == "Баллы"
    assert package.shown("since", "ru") == "31 января 2026\u202fг."
    assert package.chain.trusted is True
    assert [c.subject for c in package.chain.certificates] == [
        s.certificate.subject
        for s in (authority().leaf, authority().intermediate, authority().root)
    ]
    assert abs(datetime.now(UTC) - package.signed_at) < timedelta(minutes=1)
    assert package.notes == ()
    assert not package.voided


def test_without_roots_the_chain_is_only_reported() -> None:
    """The chain is checked as far as the package goes."""
    chain = opened(handmade.package(), roots=False).chain
    assert chain.trusted is None
    assert str(chain) == "Example Pass ← Example WWDR (not checked against a root)"


def test_a_contactless_pass_needs_a_certificate_for_it() -> None:
    """Without one the whole pass is refused, not just that part."""
    nfc = {"message": "1", "encryptionPublicKey": "x"}
    contents = handmade.files(handmade.document(nfc=nfc))
    assert "nfc is not allowed" in refusal(Recipe(contents=contents).build())
    leaf = handmade.certificate(
        authority().intermediate,
        ca=False,
        cn="Pass Type ID with NFC: example",
        uid=handmade.PASS_TYPE,
        ou=handmade.TEAM,
    )
    assert opened(Recipe(contents=contents, leaf=leaf).build()).notes == ()


@pytest.mark.parametrize("fault", PACKAGE_FAULTS)
def test_a_faulty_package_is_refused(fault: str) -> None:
    """Every way to spoil archive, manifest, signature or chain has its own clear reason."""
    recipe, reason = PACKAGE_FAULTS[fault]
    assert reason in refusal(recipe.build())


def test_a_foreign_signature_is_refused() -> None:
    """Attributes of one signer with the signature of another key do not verify."""
    good = Recipe()
    twin = handmade.Signer(authority().leaf.certificate, handmade.key("somebody"))
    manifest_signed_by_another = Recipe(leaf=twin).build()
    assert "does not verify under the signing certificate's key" in refusal(
        manifest_signed_by_another
    )
    assert opened(good.build())


def test_only_one_signer_is_taken() -> None:
    """Two signers are one too many."""
    leaf, other = authority().leaf, authority("Other").leaf

    def sign(manifest: bytes) -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(manifest)
        for signer in (leaf, other):
            builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
        return builder.sign(
            Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        )

    assert "has 2 signers" in refusal(Recipe(signature=sign).build())


def test_a_missing_signing_time_alone_is_refused() -> None:
    """Content type and digest are there, but not when it was signed."""
    recipe = Recipe()
    signed_at_oid = bytes.fromhex("2a864886f70d010905")
    other_oid = bytes.fromhex("2a864886f70d01090d")

    def sign(manifest: bytes) -> bytes:
        return recipe.sign(manifest).replace(signed_at_oid, other_oid)

    assert "attribute signing-time is missing" in refusal(Recipe(signature=sign).build())


def test_validity_is_judged_at_the_moment_of_opening() -> None:
    """The same package is refused before and after its certificate's time."""
    data = handmade.package()
    for days in (-101, 201):
        assert "is not valid now" in refusal(data, now=datetime.now(UTC) + timedelta(days=days))


def test_a_signature_from_the_future_is_refused() -> None:
    """A signing time more than a day ahead of the phone's clock is a fault somewhere."""
    assert "in the future" in refusal(handmade.package(), now=datetime.now(UTC) - timedelta(days=2))


def test_what_is_not_a_zip_is_refused() -> None:
    """A page instead of a package, and a package cut off."""
    assert "not a readable ZIP" in refusal(b"<html>Not found</html>")
    assert "not a readable ZIP" in refusal(handmade.package()[:-30])
    assert "is larger than" in refusal(b"\0" * (21 * 1024 * 1024))


def test_a_name_twice_is_refused() -> None:
    """Which of the two would be shown is anybody's guess."""
    buffer = io.BytesIO(handmade.package())
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(buffer, "a") as target,
    ):
        target.writestr("icon.png", b"")
    assert "'icon.png' is in it twice" in refusal(buffer.getvalue())


def test_a_damaged_signature_never_crashes_the_phone() -> None:
    """Any byte of the signature may be wrong: a refusal with a reason, or no effect."""
    source = random.Random(1)
    sign = Recipe().sign
    reasons = set()
    for _ in range(100):
        position, value = source.random(), source.randrange(256)

        def damaged(manifest: bytes, position: float = position, value: int = value) -> bytes:
            data = bytearray(sign(manifest))
            data[int(position * len(data))] = value
            return bytes(data)

        reasons.add(refused_or_opened(Recipe(signature=damaged).build()))
    assert len(reasons) > 5


def test_a_damaged_archive_never_crashes_the_phone() -> None:
    """Any byte of the archive may be wrong, its headers included."""
    source = random.Random(2)
    data = handmade.package()
    reasons = set()
    for _ in range(400):
        damaged = bytearray(data)
        # The directory at the end is where most of the parser's decisions are.
        start = source.choice([0, len(data) - 700])
        damaged[source.randrange(start, len(data))] = source.randrange(256)
        reasons.add(refused_or_opened(bytes(damaged)))
    assert len(reasons) > 5


def test_an_elliptic_curve_key_may_sign() -> None:
    """Apple issues RSA keys; its own builder takes elliptic curves too."""
    own = ec.generate_private_key(ec.SECP256R1())
    model = authority().leaf.certificate
    leaf = (
        x509.CertificateBuilder()
        .subject_name(model.subject)
        .issuer_name(model.issuer)
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(model.not_valid_before_utc)
        .not_valid_after(model.not_valid_after_utc)
        .sign(authority().intermediate.key, hashes.SHA256())
    )

    def sign(manifest: bytes) -> bytes:
        return (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(manifest)
            .add_signer(leaf, own, hashes.SHA256())
            .add_certificate(authority().intermediate.certificate)
            .sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])
        )

    assert opened(Recipe(signature=sign).build()).chain.certificates[0] == leaf
