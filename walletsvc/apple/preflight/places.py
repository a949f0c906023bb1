"""Where a store card shows what: places that some phones and all watches leave out."""

from __future__ import annotations

import re
from typing import Final

from walletsvc.passes.findings import LAYOUT, Finding, note, texts_file, warning
from walletsvc.passes.protocol import Candidate
from walletsvc.passes.schemas import PLACEHOLDER, Description, FieldSpec, Style
from walletsvc.passes.template_checks import BALANCES

# Apple's documents disagree about the strip and the logo of store cards since then.
STRIP_VERSIONS: Final = "iOS 26 and later"

_TAPPABLE: Final = frozenset({"support_phone", "website", "terms_url"})
_ADDRESS: Final = re.compile(r"https?://|www\.", re.IGNORECASE)
_PLAIN_HTTP: Final = re.compile(r"\bhttp://", re.IGNORECASE)


def findings(candidate: Candidate) -> list[Finding]:
    """Fields at places where they do not do what they are for."""
    described = candidate.description
    strip = "strip" in candidate.pictures
    return [
        *_balance(described, strip),
        *_strip_only(described, strip),
        *_links(described),
        *_sharing(described),
    ]


def _placed(described: Description, *places: str) -> list[tuple[str, FieldSpec]]:
    return [
        (path, spec)
        for path, spec in described.fields.placed()
        if path.split(".")[1].split("[")[0] in places
    ]


def _asked(spec: FieldSpec) -> set[str]:
    """The values a field shows; who shows the whole name shows the first name too."""
    names = set(PLACEHOLDER.findall(spec.value or ""))
    return names | {"first_name"} if "holder_name" in names else names


def _balance(described: Description, strip: bool) -> list[Finding]:
    names = BALANCES[described.style]
    shown = [(path, spec) for path, spec in described.fields.placed() if names & _asked(spec)]
    at = {path.split(".")[1].split("[")[0] for path, _ in shown}
    if not at:
        return []  # told by the checks for all wallets
    if at == {"back"}:
        text = "the balance stands on the back only; a watch has no back: put it into the header"
        return [warning("balance-on-back", LAYOUT, shown[0][0], text)]
    if not at & {"header", "secondary", "auxiliary"} and strip:
        text = (
            "the balance stands over the strip only, which wallets and watches may leave out;"
            " repeat it in the header"
        )
        return [warning("balance-in-strip", LAYOUT, shown[0][0], text, STRIP_VERSIONS)]
    if "header" not in at:
        text = "the balance is not in the header, so it cannot be read while cards are stacked"
        return [note("balance-stacked", LAYOUT, shown[0][0], text)]
    return []


def _strip_only(described: Description, strip: bool) -> list[Finding]:
    """Values that stand over the strip and nowhere else (the balance has a warning of its own)."""
    if not strip:
        return []
    elsewhere = set().union(
        *(_asked(s) for _, s in _placed(described, "header", "secondary", "auxiliary", "back"))
    )
    return [
        note(
            "strip-only",
            LAYOUT,
            path,
            f"{{{name}}} stands over the strip only, which may be left out",
            STRIP_VERSIONS,
        )
        for path, spec in _placed(described, "primary")
        for name in sorted(_asked(spec) - elsewhere - BALANCES[described.style])
        if name in PLACEHOLDER.findall(spec.value or "")
    ]


def _links(described: Description) -> list[Finding]:
    found = []
    for path, spec in _placed(described, "header", "primary", "secondary", "auxiliary"):
        texts = [known[spec.text] for known in described.texts.values()] if spec.text else []
        if _asked(spec) & _TAPPABLE or any(_ADDRESS.search(text) for text in texts):
            text = "phones and addresses can only be tapped on the back"
            found.append(note("link-on-front", LAYOUT, path, text))
    for _, spec in _placed(described, "back"):
        for language, known in described.texts.items():
            if spec.text and _PLAIN_HTTP.search(known[spec.text]):
                text = "holds an address with http://; use https://"
                found.append(warning("link-insecure", texts_file(language), spec.text, text))
    return found


def _sharing(described: Description) -> list[Finding]:
    if described.style is Style.LOYALTY and not described.sharing_prohibited:
        text = "a points card may be passed on to anybody; sharing_prohibited = true prevents it"
        return [note("sharing", LAYOUT, "sharing_prohibited", text)]
    if described.style is Style.GIFT and described.sharing_prohibited:
        text = "a gift card cannot be passed on to the one it is for"
        return [note("sharing", LAYOUT, "sharing_prohibited", text)]
    return []
