"""Which way into a phone fits the browser that asks. A hint for the page's order, never a lock:
every page offers every way."""

from __future__ import annotations

import enum


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
