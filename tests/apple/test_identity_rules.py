"""What a certificate says about itself, as pure functions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.apple.authority import PASS_TYPE, apple
from tests.apple.material import chain
from tests.conftest import NOW
from walletsvc.apple.authorities import REPOSITORY_CERTS
from walletsvc.apple.devcerts import issue_leaf
from walletsvc.apple.identity import rules


@pytest.mark.parametrize(
    ("days", "due"),
    [(31, None), (30, 30), (15, 30), (14, 14), (8, 14), (7, 7), (2, 7), (1, 1), (0, 1), (-9, 1)],
)
def test_warnings_are_due_at_30_14_7_and_1_days(days: int, due: int | None) -> None:
    """Each names the nearest limit that has been reached."""
    assert rules.threshold(days) == due


def test_days_are_whole_and_go_below_zero() -> None:
    """The last day counts as none."""
    assert rules.days_left(NOW + timedelta(days=30), NOW) == 30
    assert rules.days_left(NOW + timedelta(days=30, seconds=-1), NOW) == 29
    assert rules.days_left(NOW + timedelta(hours=5), NOW) == 0
    assert rules.days_left(NOW - timedelta(seconds=1), NOW) == -1


def test_the_warning_says_when_and_how() -> None:
    """Apple's and our own are renewed in different ways."""
    leaf = apple().issue(ec.generate_private_key(ec.SECP256R1()).public_key())
    end = leaf.not_valid_after_utc
    assert rules.expiry_warning(leaf, end - timedelta(days=31)) is None
    assert "in 30 days" in str(rules.expiry_warning(leaf, end - timedelta(days=30)))
    assert "in 1 day (" in str(rules.expiry_warning(leaf, end - timedelta(days=1)))
    last = str(rules.expiry_warning(leaf, end - timedelta(minutes=1)))
    assert "less than a day" in last
    assert "certs csr" in last
    made_here = chain().leaf
    soon = made_here.not_valid_after_utc - timedelta(days=3)
    assert "certs dev" in str(rules.expiry_warning(made_here, soon))


def test_nfc_is_read_from_the_common_name() -> None:
    """Apple's two types of certificate, and our own two."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert not rules.is_nfc_capable(apple().issue(key))
    assert rules.is_nfc_capable(apple().issue(key, common="Pass Type ID with NFC: "))
    assert not rules.is_nfc_capable(chain().leaf)
    authority = chain().authority
    leaf, _ = issue_leaf(authority, PASS_TYPE, "TEST000001", NOW, nfc=True, key=chain().key)
    assert rules.is_nfc_capable(leaf)
    assert rules.nfc_problem(leaf) is None


def test_other_certificates_of_apple_are_told_apart() -> None:
    """Apple puts identifiers of other things into the UID too."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert rules.is_pass_certificate(apple().issue(key))
    assert rules.is_pass_certificate(chain().leaf)
    for other in ("web.com.example.site", "merchant.com.example", "ABCDE12345"):
        assert not rules.is_pass_certificate(apple().issue(key, pass_type=other))
    pushes = apple().issue(key, common="Apple Push Services: ")
    assert not rules.is_pass_certificate(pushes)


@pytest.mark.parametrize("name", ["G1", "G3", "G4", "G6"])
def test_the_generation_is_read_from_the_name(name: str) -> None:
    """The first one has no number."""
    assert rules.generation(apple(name).wwdr.subject) == name


def test_the_generation_of_apples_own_names() -> None:
    """The one that ships, the second's other way of writing it, and what is none."""
    wwdr = x509.load_pem_x509_certificate((REPOSITORY_CERTS / "AppleWWDRCAG4.pem").read_bytes())
    assert rules.generation(wwdr.subject) == "G4"
    assert rules.generation(wwdr.issuer) == ""
    second = "Apple Worldwide Developer Relations CA - G2"
    assert rules.generation(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, second)])) == "G2"
