"""Opening packages as a phone that trusts the example's root."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.emulators.phone.handmade import authority
from walletsvc.emulators.phone import Package, PackageRefused, open_package


def opened(data: bytes, *, roots: bool = True, now: datetime | None = None) -> Package:
    """The package as a phone that trusts the example's root opens it."""
    trusted = [authority().root.certificate] if roots else []
    return open_package(data, now=now or datetime.now(UTC), roots=trusted)


def refusal(data: bytes, **how: Any) -> str:
    """Why a package is refused."""
    with pytest.raises(PackageRefused) as refused:
        opened(data, **how)
    return refused.value.detail


def refused_or_opened(data: bytes) -> str | None:
    """The reason of a refusal, None for a package that opens; any other error is a bug."""
    try:
        opened(data)
    except PackageRefused as refused:
        return refused.detail
    return None
