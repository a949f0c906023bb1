"""The wallets that an installation issues for."""

from __future__ import annotations

from walletsvc.apple.dialect import AppleDialect
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.wanted import House
from walletsvc.passes.protocol import Dialect
from walletsvc.settings import Settings


def dialects(settings: Settings) -> list[Dialect]:
    """The wallets of this installation: Google's once it has an issuer id there."""
    found: list[Dialect] = [AppleDialect(settings.base_url, settings.default_language)]
    if settings.google_issuer_id:
        found.append(GoogleDialect(House.of(settings)))
    return found
