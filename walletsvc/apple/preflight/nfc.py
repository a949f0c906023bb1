"""Contactless passes: what the template says, and whether the certificate allows it.

Apple grants NFC per pass type. Without it Wallet refuses the whole pass, not just this part.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlmodel import Session

from walletsvc.apple import identity
from walletsvc.passes.findings import LAYOUT, Finding, error, warning
from walletsvc.passes.protocol import Candidate

MOST_BYTES: Final = 64  # of the message


def key_fault(text: str) -> str | None:
    """Why this is not a public key as Wallet takes it, None when it is one."""
    try:
        der = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "is not base64"
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return "is not a public key (SubjectPublicKeyInfo, DER, in base64)"
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return "is not a key on the curve P-256"
    return None


def findings(candidate: Candidate, session: Session | None) -> list[Finding]:
    """What keeps terminals from reading the passes of a template."""
    nfc = candidate.description.nfc
    if nfc is None:
        return []
    found = []
    if fault := key_fault(nfc.encryption_public_key):
        found.append(error("nfc-key", LAYOUT, "nfc.encryption_public_key", fault))
    messages = [str(sample.content.get("nfc", "")) for sample in candidate.samples]
    longest = max((len(message.encode()) for message in messages), default=0)
    if longest > MOST_BYTES:
        text = f"is {longest} bytes long on a card with long values; terminals get {MOST_BYTES}"
        found.append(error("nfc-message", LAYOUT, "nfc.message", text))
    if session is not None and candidate.pass_type_id is not None:
        found += _certificate_findings(session, candidate.pass_type_id)
    else:
        text = "needs a certificate for NFC; with --pass-type it is looked for"
        found.append(warning("nfc-certificate", LAYOUT, "nfc", text))
    return found


def _certificate_findings(session: Session, pass_type_id: int) -> list[Finding]:
    row = identity.active_certificate(session, pass_type_id)
    if row is None:
        text = "needs a certificate for NFC, and the pass type has no certificate at all"
    elif identity.is_nfc_capable(x509.load_pem_x509_certificate(row.certificate_pem.encode())):
        return []
    else:
        text = (
            "is not allowed by the pass type's certificate: phones would refuse every pass."
            " Ask Apple for NFC, install the new certificate, or remove [nfc]"
        )
    return [error("nfc-certificate", LAYOUT, "nfc", text)]
