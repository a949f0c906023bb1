"""Pre-flight for Google Wallet."""

from __future__ import annotations

from walletsvc.passes.findings import Finding
from walletsvc.passes.protocol import Candidate


def examine(candidate: Candidate) -> list[Finding]:  # noqa: ARG001
    """What Google Wallet cannot show, shows elsewhere, or says in its own words."""
    return []
