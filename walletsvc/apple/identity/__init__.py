"""Do key, certificate, pass type, team and chain belong together, and is it their time?

Apple says nothing helpful when they do not: phones just refuse the pass. So start-up asks
here first, and each problem is told in words with what to do about it. What a Pass Type ID
certificate looks like: its subject's UID is the pass type identifier, its OU the team; it is
issued by a "Worldwide Developer Relations" intermediate, of which there are several
generations, so the right one is found by the leaf's issuer and proved by its signature.
"""

from walletsvc.apple.identity.chain import (
    intermediates,
    issuer_of,
    roots_dir,
    trust_anchors,
    verify_chain,
)
from walletsvc.apple.identity.check import (
    Expiring,
    Problem,
    Severity,
    certificate_days,
    check,
    expiring,
)
from walletsvc.apple.identity.choice import (
    SigningIdentity,
    active_certificate,
    choose,
    examine,
    load,
)
from walletsvc.apple.identity.keys import SigningKey
from walletsvc.apple.identity.rules import DEVELOPMENT, is_development, is_nfc_capable, threshold

__all__ = [
    "DEVELOPMENT",
    "Expiring",
    "Problem",
    "Severity",
    "SigningIdentity",
    "SigningKey",
    "active_certificate",
    "certificate_days",
    "check",
    "choose",
    "examine",
    "expiring",
    "intermediates",
    "is_development",
    "is_nfc_capable",
    "issuer_of",
    "load",
    "roots_dir",
    "threshold",
    "trust_anchors",
    "verify_chain",
]
