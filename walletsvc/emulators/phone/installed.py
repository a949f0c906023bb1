"""A pass in a phone, and what a newer version must be like to take its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from walletsvc.emulators.phone.errors import PackageRefused, ProtocolViolation
from walletsvc.emulators.phone.package import Package
from walletsvc.emulators.phone.service import Fetched

# What identifies a pass; a successor with another value is another pass.
_IDENTITY = ("passTypeIdentifier", "serialNumber", "teamIdentifier", "authenticationToken")


@dataclass
class Installed:
    """A pass in the phone, with the validators it was served with."""

    package: Package
    last_modified: str | None
    modified: datetime | None
    etag: str | None
    registered: bool = False

    @classmethod
    def of(cls, package: Package, fetched: Fetched, *, registered: bool = False) -> Installed:
        """A pass as it was just fetched."""
        return cls(package, fetched.last_modified, fetched.modified, fetched.etag, registered)


def check_succession(installed: Installed, after: Package, fetched: Fetched) -> None:
    """Check that a served pass may follow the installed one.

    Raises PackageRefused for another pass, ProtocolViolation when `Last-Modified` goes back, or
    stays while the content changes: the next If-Modified-Since would then hide a change.
    """
    before = installed.package
    for key in _IDENTITY:
        if after.document.get(key) != before.document.get(key):
            raise PackageRefused(f"pass.json: {key} differs from the installed pass's")
    if installed.modified is None or fetched.modified is None:
        return
    task = f"Get pass task (serial number {before.serial})"
    if fetched.modified < installed.modified:
        raise ProtocolViolation(
            f"{task}: Last-Modified went back from {installed.last_modified} "
            f"to {fetched.last_modified}"
        )
    if fetched.modified == installed.modified and after.face() != before.face():
        raise ProtocolViolation(
            f"{task}: the pass changed, but Last-Modified is still {fetched.last_modified}"
        )
