"""Pre-flight for Google Wallet: what of a template it hides, moves, or says in words of its own.

Source of the limits: Google, "Loyalty cards", "Gift cards" and "Brand guidelines" in the
developer documentation of Google Wallet. Most is no fault: one template looks different in two
wallets. Errors are for what Google would refuse.
"""

from __future__ import annotations

from walletsvc.google.preflight import fields, look
from walletsvc.google.rendering.layout import Layout
from walletsvc.passes.findings import Finding
from walletsvc.passes.protocol import Candidate


def examine(candidate: Candidate) -> list[Finding]:
    """What Google Wallet cannot show, shows elsewhere, or says in its own words."""
    layout = Layout(candidate.description)
    return [*fields.findings(layout), *look.findings(candidate, layout)]
