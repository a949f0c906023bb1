"""The shop of the ledger's own tests."""

from __future__ import annotations

from tests.ledger.conftest import shop

__all__ = ["shop"]
