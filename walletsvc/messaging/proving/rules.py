"""What proves a phone, how long, and how often anybody may try."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import phonenumbers

from walletsvc.storage.columns import keyring
from walletsvc.storage.limits import Limit

DIGITS: Final = 6
TRIES: Final = 5
LIFETIME: Final = timedelta(minutes=10)
RESEND_AFTER: Final = timedelta(seconds=60)
SENDS: Final = 3  # codes of one proof, before it takes a new one
KEPT_ALIVE: Final = LIFETIME * SENDS
REPLAYED_WITHIN: Final = timedelta(minutes=2)
USE_WITHIN: Final = timedelta(minutes=30)  # time enough to choose among the people of a phone

# Of the whole installation: a phone rings as often as it rings, whoever makes it.
PER_PHONE_HOUR: Final = Limit("proof-phone-hour", 5, timedelta(hours=1))
PER_PHONE_DAY: Final = Limit("proof-phone-day", 10, timedelta(days=1))
# A shop's Wi-Fi and a mobile operator put many customers behind one address.
PER_ADDRESS_HOUR: Final = Limit("proof-address-hour", 60, timedelta(hours=1))
PER_ADDRESS_DAY: Final = Limit("proof-address-day", 200, timedelta(days=1))
# A new proof gives new tries; these stay the same for the phone.
GUESSES_HOUR: Final = Limit("proof-guesses-hour", 15, timedelta(hours=1))
GUESSES_DAY: Final = Limit("proof-guesses-day", 40, timedelta(days=1))

_SENDING: Final = "walletsvc.codes"
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sending:
    """How the installation sends codes.

    `host` is the site that phones may fill the code in on; empty: they are not told one. Each
    programme sends at most `per_hour` codes, of them `abroad_per_hour` to phones of countries
    beside `home` (ISO 3166): who earns by calling codes forth has phones in far countries.
    """

    host: str = ""
    home: frozenset[str] = frozenset({"RU", "KZ", "BY"})
    per_hour: int = 2_000
    abroad_per_hour: int = 20

    def ceilings(self, programme: str, phone: str) -> list[tuple[Limit, str]]:
        """What a code to this phone counts against, for all its programme's customers."""
        found = [(Limit("proof-programme", self.per_hour, _HOUR), programme)]
        if country(phone) not in self.home:
            found.append((Limit("proof-abroad", self.abroad_per_hour, _HOUR), programme))
        return found


def carried(sending: Sending) -> dict[str, Any]:
    """What sessions carry so that `sending_of` finds it."""
    return {_SENDING: sending}


def sending_of(info: Mapping[Any, Any]) -> Sending:
    """How this session's installation sends codes."""
    found = info.get(_SENDING)
    return found if isinstance(found, Sending) else Sending()


def country(phone: str) -> str:
    """The country an E.164 phone belongs to (ISO 3166); empty when it is none's."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or ""


def new_code() -> str:
    """Six random digits."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def tidy_code(text: str) -> str:
    """The code as people type or paste it: without spaces and hyphens, any script's digits."""
    plain = re.sub(r"[\s\-–—]", "", unicodedata.normalize("NFKC", text))
    return "".join(str(unicodedata.digit(each, -1)) if each.isdigit() else each for each in plain)


def code_hash(proof: str, code: str) -> bytes:
    """A keyed hash of a code that fits this proof alone."""
    return keyring().lookup_hash(f"phone proof {proof} {code}")


def fits(proof: str, code: str, *wanted: bytes | None) -> bool:
    """Whether the code is one of those; how long it takes does not tell."""
    given = code_hash(proof, tidy_code(code))
    found = [hmac.compare_digest(given, each or bytes(len(given))) for each in wanted]
    return any(found)


def phone_subject(phone: str) -> str:
    """What a phone is called where tries are counted."""
    return keyring().lookup_hash(f"limited phone {phone}").hex()


def address_subject(address: str) -> str:
    """What a network address is called there; of IPv6 the /64 counts, which one customer has."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return keyring().lookup_hash(f"limited address {address}").hex()
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
        known = known.ipv4_mapped
    network = ipaddress.ip_network((known, 64 if known.version == 6 else 32), strict=False)
    return keyring().lookup_hash(f"limited address {network}").hex()


def fill_in(host: str, code: str) -> str:
    """The last line of a message, by which phones offer the code on the site it is for (WebOTP)."""
    return f"\n@{host} #{code}" if host else ""


def call_reference(call_to: str, external_id: str) -> str:
    """What a proof by a call keeps: the number to ring, and the gateway's id of the waiting."""
    return f"{call_to} {external_id}"[:120]


def call_parts(reference: str) -> tuple[str, str]:
    """Number and id that `call_reference` wrote down; empty before it did."""
    call_to, _, external_id = reference.partition(" ")
    return call_to, external_id
