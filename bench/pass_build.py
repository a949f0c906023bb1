"""Complete passes per second and core, over the raw RSA-2048 signatures of the same run.

A pass cannot be cheaper than its signature, so that rate is the limit. Both are counted in
processor time, in rounds that alternate, so that other work on the machine meets both alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from bench import Result
from walletsvc.apple.devcerts import issue_leaf, new_authority
from walletsvc.apple.package import PassIdentity, build, prepare
from walletsvc.apple.signing import Signer
from walletsvc.passes.schemas import Description

NAME = "pass_build"

_ROUNDS = 200
_PER_ROUND = 20
# What the images show does not matter, only their bytes do: three kinds, three densities,
# 128 KB in all.
_SIZES = {
    "icon": (1_200, 2_600, 4_200),
    "logo": (3_000, 7_500, 12_500),
    "strip": (12_000, 31_000, 54_000),
}


def run() -> Result:
    """Build storeCard passes with nine images in two languages."""
    pass_type, team = "pass.dev.walletsvc.bench", "WALLETSVC0"
    now = datetime.now(UTC)
    _, authority = new_authority(now)
    leaf, key = issue_leaf(authority, pass_type, team, now)
    signer = Signer(leaf, key, [authority.certificate])
    prepared = prepare(_description(), _images())
    passes = [(_identity(pass_type, team, n), _content(n)) for n in range(_PER_ROUND)]
    manifest = b"m" * 1_000

    def raw() -> None:
        for _ in range(_PER_ROUND):
            key.sign(manifest, PKCS1v15(), hashes.SHA256())

    def complete() -> None:
        for identity, content in passes:
            build(prepared, signer, identity, content)

    raw_seconds = complete_seconds = 0.0
    for _ in range(_ROUNDS):
        raw_seconds += _processor_time(raw)
        complete_seconds += _processor_time(complete)
    count = _ROUNDS * _PER_ROUND
    return Result(count / complete_seconds, "passes/s/core", count / raw_seconds)


def _processor_time(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _images() -> dict[str, bytes]:
    noise = random.Random(1)
    return {
        f"{kind}{suffix}.png": b"\x89PNG\r\n\x1a\n" + noise.randbytes(size)
        for kind, sizes in _SIZES.items()
        for suffix, size in zip(("", "@2x", "@3x"), sizes, strict=True)
    }


def _identity(pass_type: str, team: str, number: int) -> PassIdentity:
    return PassIdentity(
        serial=f"bench{number:015}",
        auth_token=f"{number:032}",
        web_service_url="https://cards.example.com/apple",
        pass_type_identifier=pass_type,
        team_identifier=team,
    )


def _content(number: int) -> dict[str, object]:
    card = f"{7_000_000_000_000_000 + number}"
    return {
        "values": {
            "points": 100 + number,
            "holder": f"Мария Иванова {number}",
            "since": "2026-11-20T12:30:00+03:00",
            "card": card,
            "phone": "+7 495 123-45-67",
            "site": "https://example.com",
        },
        "barcode": card,
        "barcode_alt": card,
        "organisation": "Кофейня «Заря»",
    }


def _description() -> Description:
    texts = {
        name: name
        for name in ("pass_name", "points", "points_changed", "holder", "since", "card", "phone")
    } | {"site": "site", "terms": "terms", "terms_text": "Points live for a year. " * 12}
    russian = {name: f"По-русски: {text}" for name, text in texts.items()}
    changed = {"points_changed": "%@"}
    return Description.model_validate(
        {
            "style": "loyalty",
            "description": "pass_name",
            "logo_text": "pass_name",
            "colours": {"background": "#1d3b2f", "foreground": "#ffffff", "label": "#c9d8cf"},
            "fields": {
                "header": [
                    {
                        "key": "points",
                        "label": "points",
                        "value": "{points}",
                        "change": "points_changed",
                    }
                ],
                "secondary": [
                    {"key": "holder", "label": "holder", "value": "{holder_name}"},
                    {"key": "since", "label": "since", "value": "{member_since}", "align": "right"},
                ],
                "back": [
                    {"key": "card", "label": "card", "value": "{card_number}"},
                    {"key": "phone", "label": "phone", "value": "{support_phone}"},
                    {"key": "site", "label": "site", "value": "{website}"},
                    {"key": "terms", "label": "terms", "text": "terms_text"},
                ],
            },
            "barcode": {"formats": ["qr", "code128"], "message": "{card_number}"},
            "sharing_prohibited": True,
            "texts": {"ru": russian | changed, "en": texts | changed},
        }
    )
