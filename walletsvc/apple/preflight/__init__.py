"""Pre-flight for Apple Wallet: its limits, and a sample pass held against its specification.

Source of the limits: Apple, "Pass", "PassFields" and "Wallet Passes" in the developer
documentation, Human Interface Guidelines for Wallet, and the validators of apple/pass-builder.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import orjson
from sqlmodel import Session

from walletsvc.apple.package import PassIdentity, compose, image_path, prepare
from walletsvc.apple.preflight import barcodes, document, look, nfc, places, room
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.findings import Finding, error, errors, image_file, warning
from walletsvc.passes.protocol import Candidate

# A package is fetched whole at every change, on the road too.
HEAVY: Final = 1024 * 1024
_SIGNATURE: Final = 4 * 1024


def examine(
    candidate: Candidate, *, base_url: str, language: str, session: Session | None, now: datetime
) -> list[Finding]:
    """What Wallet would refuse, hide or show badly of this template's passes.

    What is known to be wrong is not built: an error elsewhere leaves the sample pass out.
    """
    found = [
        *places.findings(candidate),
        *room.findings(candidate),
        *look.findings(candidate),
        *barcodes.findings(candidate),
        *nfc.findings(candidate, session),
    ]
    return found if errors(found) else found + _built(candidate, base_url, language, now)


def _built(candidate: Candidate, base_url: str, language: str, now: datetime) -> list[Finding]:
    """What is wrong with the passes that would come of it."""
    pictures = {
        image_path(kind, density): png
        for kind, made in candidate.pictures.items()
        for density, png in made.items()
    }
    try:
        prepared = prepare(candidate.description, pictures, language)
    except ConfigurationError as refused:
        return [error("icon-missing", image_file("icon"), "", refused.detail)]
    who = PassIdentity(
        serial="0" * 22,
        auth_token="0" * 32,
        web_service_url=f"{base_url}/apple",
        pass_type_identifier="pass.example.preflight",  # noqa: S106 - no password
        team_identifier="PREFLIGHT1",
        nfc=True,
    )
    found: dict[Finding, None] = {}
    largest = 0
    for sample in candidate.samples:
        encoded = compose(prepared, who, sample.content).encode()
        largest = max(largest, len(encoded))
        found |= dict.fromkeys(document.findings(orjson.loads(encoded), now))
    weight = len(prepared.archive.entries) + len(prepared.archive.directory) + largest + _SIGNATURE
    if weight > HEAVY:
        text = f"a pass weighs {weight // 1024} KB and travels at each change; simplify the images"
        found |= {warning("package-heavy", image_file("strip"), "", text): None}
    return list(found)
