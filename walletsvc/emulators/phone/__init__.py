"""A phone with Apple Wallet in it, made from Apple's description and sharing nothing with us.

`Phone` adds passes, registers them, follows pushes and complains; `Fleet` is many of them;
`Poller` is an app that never registers; `open_package` is the judge of a .pkpass.
"""

from walletsvc.emulators.phone.errors import (
    PackageRefused,
    PhoneError,
    ProtocolViolation,
    TimedOut,
    Unreachable,
)
from walletsvc.emulators.phone.events import Change, Event, Kind, Report, Update
from walletsvc.emulators.phone.fleet import Fleet
from walletsvc.emulators.phone.package import Package, open_package
from walletsvc.emulators.phone.poller import Conditional, Poller
from walletsvc.emulators.phone.pushes import Pushes
from walletsvc.emulators.phone.transport import Transport
from walletsvc.emulators.phone.trust import load_roots
from walletsvc.emulators.phone.wallet import Phone

__all__ = [
    "Change",
    "Conditional",
    "Event",
    "Fleet",
    "Kind",
    "Package",
    "PackageRefused",
    "Phone",
    "PhoneError",
    "Poller",
    "ProtocolViolation",
    "Pushes",
    "Report",
    "TimedOut",
    "Transport",
    "Unreachable",
    "Update",
    "load_roots",
    "open_package",
]
