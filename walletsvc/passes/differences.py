"""What a new state of a pass says otherwise than the one before, for the timeline.

Numbers, money and dates are kept with their values, because "points 120 → 170" is what an
operator looks for. A text may be a name or a certificate's code: only its beginning is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

# No field of a template can have such a key.
LOOK: Final = "@look"  # template, signing certificate or a setting: what is around the values
BARCODE: Final = "@barcode"
_OTHERS: Final = ("organisation", "voided", "expires_at")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+Z-]+")

Pair = list[Any]


def differences(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    *,
    old_version: int | None,
    new_version: int,
) -> dict[str, Pair]:
    """Field key → [before, now] for all that differs; empty for a pass that said nothing yet.

    When no value differs, what differs is the look. The versions are the template's.
    """
    if old is None:
        return {}
    # What an older version stored may lack a part; explaining must never stop a publication.
    before, after = old.get("values", {}), new.get("values", {})
    found: dict[str, Pair] = {}
    if before != after:
        for key in {**before, **after}:
            if before.get(key) != after.get(key):
                found[key] = [_shown(before.get(key)), _shown(after.get(key))]
    for key in _OTHERS:
        if old.get(key) != new.get(key):
            found[f"@{key}"] = [_shown(old.get(key)), _shown(new.get(key))]
    if any(old.get(name) != new.get(name) for name in ("barcode", "rotating")):
        found[BARCODE] = [None, None]
    if old_version != new_version or not found:
        found[LOOK] = [old_version, new_version]
    return found


def _shown(value: Any) -> Any:
    """A value as it may be kept: of a text only how it begins."""
    if not isinstance(value, str) or _DATE.fullmatch(value):
        return value
    return f"{value[:1]}…"
