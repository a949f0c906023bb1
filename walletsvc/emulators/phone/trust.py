"""Whether a signature's certificate may speak for a pass, and who vouches for it.

The chain is walked by hand: Pass Type ID certificates are not TLS certificates, and what
matters is little: each issuer is a CA whose key made the signature below it, and all are valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from walletsvc.emulators.phone.cms import Signature
from walletsvc.emulators.phone.errors import PackageRefused

_LONGEST_CHAIN = 5
_CONTACTLESS = "Pass Type ID with NFC"


@dataclass(frozen=True)
class Chain:
    """From the leaf upwards; `trusted` is None when no roots were given to check against."""

    certificates: tuple[x509.Certificate, ...]
    trusted: bool | None

    def __str__(self) -> str:
        names = " ← ".join(_name(c) for c in self.certificates)
        return names if self.trusted else f"{names} (not checked against a root)"


def load_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """The trusted certificates of a PEM file, or of a folder of `.pem` files.

    Raises PackageRefused when there are none or one cannot be read: nothing could be trusted.
    """
    found: list[x509.Certificate] = []
    for file in sorted(path.glob("*.pem")) if path.is_dir() else [path]:
        try:
            found += x509.load_pem_x509_certificates(file.read_bytes())
        except (OSError, ValueError) as error:
            raise PackageRefused(f"{file}: holds no readable PEM certificate ({error})") from error
    if not found:
        raise PackageRefused(f"{path}: holds no .pem files")
    return tuple(found)


def check(
    signature: Signature,
    *,
    pass_type_identifier: str,
    team_identifier: str,
    roots: Sequence[x509.Certificate],
    now: datetime,
) -> Chain:
    """Check who signed; raises PackageRefused with the reason, else says what the chain is."""
    leaf = signature.leaf
    _require_name(leaf, NameOID.USER_ID, "UID", "passTypeIdentifier", pass_type_identifier)
    _require_name(leaf, NameOID.ORGANIZATIONAL_UNIT_NAME, "OU", "teamIdentifier", team_identifier)
    _require_valid(leaf, now)
    _require_valid(leaf, signature.signed_at, "when it signed")
    issuers = [c for c in signature.certificates if c != leaf]
    intermediate = _issuer_of(leaf, issuers)
    if intermediate is None:
        raise PackageRefused(f"signature: the certificate that issued '{_name(leaf)}' is not in it")
    chain = [leaf]
    while not _self_issued(chain[-1]) and len(chain) < _LONGEST_CHAIN:
        above = _issuer_of(chain[-1], [*roots, *issuers])
        if above is None:
            break
        _require_valid(above, now)
        chain.append(above)
        if above in roots:
            return Chain(tuple(chain), trusted=True)
    if roots:
        raise PackageRefused(
            f"signature: the chain ends at '{_name(chain[-1])}', which no trusted root issued"
        )
    return Chain(tuple(chain), trusted=None)


def require_contactless(leaf: x509.Certificate) -> None:
    """Passes for terminals take a certificate that Apple issued for them; its name says so."""
    if not _name(leaf).startswith(_CONTACTLESS):
        raise PackageRefused(f"pass.json: nfc is not allowed by the certificate '{_name(leaf)}'")


def _issuer_of(
    certificate: x509.Certificate, candidates: Iterable[x509.Certificate]
) -> x509.Certificate | None:
    for candidate in candidates:
        try:
            certificate.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        if _is_authority(candidate):
            return candidate
    return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _self_issued(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _require_name(
    leaf: x509.Certificate, oid: x509.ObjectIdentifier, short: str, key: str, expected: str
) -> None:
    values = [str(a.value) for a in leaf.subject.get_attributes_for_oid(oid)]
    if values != [expected]:
        raise PackageRefused(
            f"pass.json: {key} is '{expected}', but the certificate's {short} is "
            f"'{', '.join(values) or 'missing'}'"
        )


def _require_valid(certificate: x509.Certificate, moment: datetime, when: str = "now") -> None:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    # A signing time has whole seconds; so have the bounds.
    if not first <= moment.replace(microsecond=0) <= last:
        raise PackageRefused(
            f"signature: the certificate '{_name(certificate)}' is not valid {when} "
            f"({first:%Y-%m-%d} to {last:%Y-%m-%d})"
        )


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()
