"""A small template and content, and the packages made of them."""

from __future__ import annotations

from typing import Any

from tests.apple.material import PASS_TYPE, TEAM, chain
from walletsvc.apple.package import PassIdentity, build, prepare
from walletsvc.passes.schemas import Content, Description

IDENTITY = PassIdentity(
    serial="0123456789abcdefghjk",
    auth_token="token-of-32-characters-0123456789",
    web_service_url="https://cards.example.com/apple",
    pass_type_identifier=PASS_TYPE,
    team_identifier=TEAM,
)
IMAGES = {"icon@2x.png": b"\x89PNG 2", "icon.png": b"\x89PNG 1"}
CONTENT: dict[str, Any] = {
    "values": {"points": 1250, "name": "Мария Ёлкина-Щукина"},
    "barcode": "7000123412341234",
    "organisation": "Кофейня «Заря»",
}


def described(**changes: Any) -> Description:
    """A small description in two languages, with some parts replaced."""
    parts: dict[str, Any] = {
        "style": "loyalty",
        "description": "about",
        "logo_text": "shop",
        "colours": {"background": "#0a141e", "foreground": "#ffffff", "label": "#c8d2dc"},
        "fields": {
            "header": [
                {"key": "points", "label": "points", "value": "{points}", "change": "changed"}
            ],
            "secondary": [{"key": "name", "label": "name", "value": "{holder_name}"}],
            "back": [{"key": "terms", "label": "terms", "text": "terms_text"}],
        },
        "barcode": {"formats": ["qr"], "message": "{card_number}"},
        "texts": {
            "ru": {
                "about": "Карта лояльности",
                "shop": "Заря",
                "points": "Баллы",
                "changed": "Теперь баллов: %@",
                "name": "Имя",
                "terms": "Условия",
                "terms_text": 'Строка «раз»\nСтрока "два" \\ конец',
            },
            "en": {
                "about": "Loyalty card",
                "shop": "Zarya",
                "points": "Points",
                "changed": "You have %@ points now",
                "name": "Name",
                "terms": "Terms",
                "terms_text": 'Line one\nLine "two" \\ end',
            },
        },
    }
    return Description.model_validate(parts | changes)


def packed(
    description: Description | None = None,
    content: dict[str, Any] | Content | None = None,
    language: str = "ru",
) -> bytes:
    """A signed package of the sample content."""
    prepared = prepare(description or described(), IMAGES, language)
    return build(prepared, chain().signer, IDENTITY, content or CONTENT)
