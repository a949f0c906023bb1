"""What goes wrong between a phone and the service that feeds it.

WalletsvcError
└── PhoneError
    ├── PackageRefused      Wallet would not add, or not take over, this package
    ├── ProtocolViolation   an answer of the web service that Apple's protocol does not allow
    ├── Unreachable         no answer, or only 5xx, after the device's retries
    └── TimedOut            the expected update did not come in time
"""

from __future__ import annotations

from typing import ClassVar

from walletsvc.core.errors import WalletsvcError


class PhoneError(WalletsvcError):
    """Base of everything the emulated phone objects to."""

    code = "phone"
    retryable: ClassVar[bool] = False


class PackageRefused(PhoneError):
    """The package is not one Wallet takes; the detail names the file or key and the rule."""

    code = "package_refused"


class ProtocolViolation(PhoneError):
    """The web service answered in a way Apple's protocol does not know."""

    code = "protocol_violation"


class Unreachable(PhoneError):
    """The service did not answer, or failed, as often as the device asked."""

    code = "unreachable"
    retryable = True


class TimedOut(PhoneError):
    """What the phone waited for did not come in time."""

    code = "timed_out"
