"""From a leaf over the intermediate that issued it to a root that is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from OpenSSL.crypto import (
    X509,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    X509StoreFlags,
)

from walletsvc.apple.authorities import REPOSITORY_CERTS
from walletsvc.apple.identity.rules import generation, is_development
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings

APPLE_AUTHORITIES: Final = "https://www.apple.com/certificateauthority/"


def trust_anchors(settings: Settings) -> list[x509.Certificate]:
    """Apple's root and the development roots of this installation.

    Raises ConfigurationError naming a file that is not a certificate.
    """
    files = [REPOSITORY_CERTS / "AppleRootCA.pem", *sorted(roots_dir(settings).glob("*.pem"))]
    return [certificate for file in files if file.exists() for certificate in _certificates(file)]


def roots_dir(settings: Settings) -> Path:
    """Where this installation keeps the development roots it trusts."""
    return settings.certs_dir / "roots"


def intermediates(settings: Settings) -> list[x509.Certificate]:
    """Intermediate certificates that come with the project or lie in the data directory."""
    files = [*sorted(REPOSITORY_CERTS.glob("*.pem")), *sorted(settings.certs_dir.glob("*.pem"))]
    found = [certificate for file in files for certificate in _certificates(file)]
    return [certificate for certificate in found if certificate.issuer != certificate.subject]


def issuer_of(
    leaf: x509.Certificate, candidates: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    """The candidate whose name and signature say that it issued `leaf`."""
    for candidate in candidates:
        try:
            leaf.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return candidate
    return None


def chain_problems(
    leaf: x509.Certificate,
    candidates: Sequence[x509.Certificate],
    settings: Settings,
    now: datetime,
) -> list[str]:
    """Why the chain from the leaf over one of the candidates reaches no trusted root."""
    issuer = issuer_of(leaf, candidates)
    if issuer is None:
        return [_no_issuer(leaf, candidates)]
    # Dates of the leaf are told apart already; here only the rest of the chain counts.
    moment = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    failure = verify_chain(leaf, [issuer], trust_anchors(settings), moment)
    if failure is None:
        return []
    return [
        (
            f"The chain of the certificate does not lead to Apple's root certificate ({failure}). "
            "Use a certificate issued by Apple, or, for development, run 'walletsvc certs dev'."
        )
    ]


def _no_issuer(leaf: x509.Certificate, candidates: Sequence[x509.Certificate]) -> str:
    """What to fetch; the leaf decides which generation, not the newest one there is."""
    needed = generation(leaf.issuer)
    said = (
        f"The certificate was issued by '{leaf.issuer.rfc4514_string()}', and no matching "
        "intermediate certificate is at hand"
    )
    if is_development(leaf):
        return f"{said}. Restore it from a backup, or run 'walletsvc certs dev'."
    if not needed:
        return (
            f"{said}; Pass Type ID certificates come from Apple's Worldwide Developer Relations. "
            "Download the certificate for your pass type at developer.apple.com."
        )
    present = sorted({found for other in candidates if (found := generation(other.subject))})
    return (
        f"{said} (needed: generation {needed}; present: {', '.join(present) or 'none'}). "
        f"Download 'Worldwide Developer Relations - {needed}' from {APPLE_AUTHORITIES} "
        "and run 'walletsvc certs import' with that file."
    )


def verify_chain(
    leaf: x509.Certificate,
    untrusted: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    moment: datetime,
) -> str | None:
    """Build and verify the chain as of `moment`; None when it holds, else OpenSSL's reason."""
    store = X509Store()
    for anchor in anchors:
        store.add_cert(X509.from_cryptography(anchor))
    store.set_time(moment.astimezone(UTC))
    # Apple's private extensions may be marked critical; OpenSSL does not know them.
    store.set_flags(X509StoreFlags.IGNORE_CRITICAL)
    context = X509StoreContext(
        store,
        X509.from_cryptography(leaf),
        [X509.from_cryptography(certificate) for certificate in untrusted],
    )
    try:
        context.verify_certificate()
    except X509StoreContextError as error:
        return str(error)
    return None


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{file} is not a certificate in PEM form. Replace or remove it."
        ) from error
