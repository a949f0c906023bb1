"""Which way into a phone fits the browser that asks. A hint for what the page offers first,
never a lock: the addresses work from every device."""

from __future__ import annotations

import enum
import re
from typing import Final

# Messengers and search engines follow every link that somebody sends, to draw a preview of it.
# Cubot makes phones.
_MACHINES: Final = re.compile(
    r"(?<!cu)bot\b|crawl|spider|preview|facebookexternalhit|whatsapp|vkshare|slurp|curl/|wget/",
    re.IGNORECASE,
)


class Platform(enum.StrEnum):
    """What kind of device looks at the page."""

    IOS = "ios"
    ANDROID = "android"
    DESKTOP = "desktop"


def platform(user_agent: str) -> Platform:
    """The device behind a User-Agent; what does not say that it is a phone is a desktop."""
    if "iPhone" in user_agent or "iPod" in user_agent:
        return Platform.IOS
    if "Android" in user_agent:
        return Platform.ANDROID
    return Platform.DESKTOP


def is_machine(user_agent: str, purpose: str) -> bool:
    """Whether nobody looks: a robot, or a browser that fetches what may be clicked (`purpose` is
    its Purpose or Sec-Purpose header)."""
    return "prefetch" in purpose.lower() or _MACHINES.search(user_agent) is not None
