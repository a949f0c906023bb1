"""The club of the tiers' own tests."""

from __future__ import annotations

from tests.programmes.tiers.conftest import club

__all__ = ["club"]
