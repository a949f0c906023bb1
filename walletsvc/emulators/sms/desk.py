"""What all three have in common: who may send, what was sent, what fails, who is told of it."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from walletsvc.core.clock import Clock, rfc3339
from walletsvc.core.errors import InputError

ACCOUNTS: Final = {
    "smsaero": {"email": "demo@example.com", "api_key": "emulated-key-of-sms-aero"},
    "smsc": {"login": "demo", "password": "emulated-password"},
    "smsru": {"api_id": "E0000000-0000-0000-0000-000000000001"},
}
SIGNS: Final = ("SMS Aero", "DEMO")  # senders' names that are agreed
BALANCE: Final = 100_000  # of each account, in hundredths
COST: Final = 350
SAME_AGAIN: Final = timedelta(minutes=1)
WAIT: Final = timedelta(minutes=5)
FAULTS: Final = (
    "429", "500", "503", "cut", "cut_after", "garbage",
    "wrong_key", "no_money", "refused", "undelivered", "silent",
)  # fmt: skip

_PHONE: Final = re.compile(r"[1-9]\d{9,14}")


class Refused(Exception):
    """Not sent; each API says so in its own way. `why`: key, phone, text, often, money, sender,
    refused, method."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass
class Sms:
    """A message that was taken. `status`: under_way, delivered or failed."""

    number: int
    gateway: str
    to: str
    text: str
    sender: str
    at: datetime
    cost: int
    segments: int
    own_id: str = ""
    hook: str = ""
    status: str = "under_way"


@dataclass
class Awaited:
    """A call that is awaited from a phone, to `call_to`."""

    id: str
    gateway: str
    phone: str
    call_to: str
    until: datetime


@dataclass
class Armed:
    """The next `count` requests (to this gateway) fail so."""

    fault: str
    count: int = 1
    gateway: str = ""


@dataclass
class Desk:
    """Everything the emulator remembers; take `lock` for more than one look."""

    clock: Clock
    lock: threading.RLock = field(default_factory=threading.RLock)
    sent: list[Sms] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Awaited] = field(default_factory=list)
    armed: list[Armed] = field(default_factory=list)
    hooks: dict[str, dict[str, str]] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACCOUNTS, BALANCE))

    def arm(self, fault: str, count: int = 1, gateway: str = "") -> None:
        """Let the next requests fail; raises InputError for a name that is not known."""
        if fault not in FAULTS:
            raise InputError(f"fault: known are {', '.join(FAULTS)}.")
        with self.lock:
            self.armed.append(Armed(fault, count, gateway))

    def befalls(self, gateway: str, *names: str) -> str:
        """Which of these failures happens now; none is the empty text."""
        with self.lock:
            for each in self.armed:
                if each.fault in names and each.gateway in ("", gateway):
                    each.count -= 1
                    if each.count <= 0:
                        self.armed.remove(each)
                    return each.fault
        return ""

    def take(
        self,
        gateway: str,
        to: str,
        text: str,
        *,
        sender: str = "",
        own_id: str = "",
        hook: str = "",
    ) -> Sms:
        """Take a message, or raise Refused as the provider would."""
        phone = re.sub(r"[\s()+-]", "", to)
        with self.lock:
            now = self.clock()
            if not _PHONE.fullmatch(phone):
                raise Refused("phone")
            if not text.strip():
                raise Refused("text")
            if sender and sender not in SIGNS:
                raise Refused("sender")
            if gateway != "smsaero" and self._said_before(gateway, phone, text, now):
                raise Refused("often")
            if self.befalls(gateway, "refused"):
                raise Refused("refused")
            segments = _segments(text)
            cost = segments * COST
            if self.befalls(gateway, "no_money") or self.balances[gateway] < cost:
                raise Refused("money")
            self.balances[gateway] -= cost
            sms = Sms(
                1001 + len(self.sent), gateway, phone, text, sender, now, cost, segments,
                own_id=own_id, hook=hook,
            )  # fmt: skip
            fate = self.befalls(gateway, "undelivered", "silent")
            sms.status = {"undelivered": "failed", "silent": "under_way"}.get(fate, "delivered")
            self.sent.append(sms)
            self.note("sms", gateway=gateway, to="+" + phone, text=text)
            return sms

    def note(self, channel: str, **what: Any) -> None:
        """Write into the log."""
        with self.lock:
            entry = {"seq": len(self.entries) + 1, "at": rfc3339(self.clock()), "channel": channel}
            self.entries.append(entry | what)

    def await_call(self, gateway: str, phone: str, call_to: str) -> Awaited:
        """Wait for a call."""
        plain = re.sub(r"[\s()+-]", "", phone)
        if not _PHONE.fullmatch(plain):
            raise Refused("phone")
        with self.lock:
            id_ = f"2026-{len(self.calls) + 1}"
            found = Awaited(id_, gateway, plain, call_to, self.clock() + WAIT)
            self.calls.append(found)
            return found

    def find(self, gateway: str, number: str, phone: str = "") -> Sms | None:
        """A message by the provider's number or ours."""
        with self.lock:
            for sms in reversed(self.sent):
                named = number in (str(sms.number), sms.own_id, sms_id(sms))
                if sms.gateway == gateway and named and phone.lstrip("+") in ("", sms.to):
                    return sms
        return None

    def _said_before(self, gateway: str, phone: str, text: str, now: datetime) -> bool:
        return any(
            (sms.gateway, sms.to, sms.text) == (gateway, phone, text) and now - sms.at < SAME_AGAIN
            for sms in self.sent
        )


def sms_id(sms: Sms) -> str:
    """How sms.ru numbers its messages."""
    return f"202648-{sms.number}"


def _segments(text: str) -> int:
    """Roughly, as a bill says it: letters outside ASCII make it 70 to a message."""
    whole, part = (160, 153) if text.isascii() else (70, 67)
    return 1 if len(text) <= whole else -(-len(text) // part)
