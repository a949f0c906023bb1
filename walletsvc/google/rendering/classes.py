"""The body of a class: what all cards of a template have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import phonenumbers

from walletsvc.google.models import Kind
from walletsvc.google.rendering.layout import MODULES, Layout
from walletsvc.google.rendering.texts import both, localised, present, root_of
from walletsvc.passes import placeholders
from walletsvc.passes.schemas import Description, FieldSpec, Style

# Read-modify-write with what Google answered would be refused: it sets APPROVED itself.
REVIEW: Final = "UNDER_REVIEW"
ONE_USER: Final = "ONE_USER_ALL_DEVICES"
MANY_HOLDERS: Final = "MULTIPLE_HOLDERS"

_ROWS: Final = {
    1: ("oneItem", ("item",)),
    2: ("twoItems", ("startItem", "endItem")),
    3: ("threeItems", ("startItem", "middleItem", "endItem")),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a class says of the shop. `pictures` are addresses by kind: logo, wide, hero."""

    organisation: str
    programme: str
    phone: str | None
    website: str | None
    terms_url: str
    pictures: Mapping[str, str]
    callback_url: str | None


def class_body(
    description: Description, class_id: str, facts: Facts, default_language: str
) -> dict[str, Any]:
    """The whole class as an insert takes it."""
    layout = Layout(description)
    root = root_of(description.texts, default_language)
    said = _Said(description, root)
    body: dict[str, Any] = {
        "id": class_id,
        "issuerName": facts.organisation,
        "reviewStatus": REVIEW,
        "hexBackgroundColor": description.colours.background,
        "countryCode": _country(facts.phone),
        "multipleDevicesAndHoldersAllowedStatus": holders(description),
        "callbackOptions": {"url": facts.callback_url} if facts.callback_url else None,
        "classTemplateInfo": _rows(layout),
        "textModulesData": [said.module(spec) for spec in layout.fixed][:MODULES],
        "linksModuleData": {"uris": _links(layout, said, facts)},
        "programLogo": said.image(facts.pictures.get("logo")),
        "wideProgramLogo": said.image(facts.pictures.get("wide")),
        "heroImage": said.image(facts.pictures.get("hero")),
    }
    if layout.kind is Kind.LOYALTY:
        return body | _loyalty(layout, said, facts)
    return body | _gift(layout, said, facts)


def holders(description: Description) -> str:
    """Who may keep a pass: stored value belongs into one wallet, whoever may hold the card."""
    if description.style is Style.GIFT or description.sharing_prohibited:
        return ONE_USER
    return MANY_HOLDERS


class _Said:
    """The texts of a description in Google's forms."""

    def __init__(self, description: Description, root: str) -> None:
        self._description = description
        self._root = root

    def in_all(self, key: str | None) -> dict[str, str] | None:
        """A text by language, None without a key."""
        if key is None:
            return None
        return {language: texts[key] for language, texts in self._description.texts.items()}

    def both(self, name: str, key: str | None) -> dict[str, Any]:
        """The text of this key as a field of the class."""
        return both(name, self.in_all(key), self._root)

    def name(self, name: str, plain: str) -> dict[str, Any]:
        """A name of the shop's; the text beside the logo stands for it, where there is one."""
        if self._description.logo_text is not None:
            return self.both(name, self._description.logo_text)
        return {**self.both(name, None), name: plain}

    def module(self, spec: FieldSpec) -> dict[str, Any]:
        """A fixed text under its label."""
        text = {lang: said.strip() for lang, said in (self.in_all(spec.text) or {}).items()}
        header = present(self.both("header", spec.label))
        return {"id": spec.key, **header, **present(both("body", text, self._root))}

    def image(self, address: str | None) -> dict[str, Any] | None:
        """An image with words for those who do not see it."""
        if address is None:
            return None
        words = self.in_all(self._description.description) or {}
        default = {"defaultValue": {"language": self._root, "value": words[self._root]}}
        return {
            "sourceUri": {"uri": address},
            "contentDescription": localised(words, self._root) or default,
        }


def _loyalty(layout: Layout, said: _Said, facts: Facts) -> dict[str, Any]:
    return {
        **said.name("programName", facts.programme),
        **said.both("accountNameLabel", layout.holder.label if layout.holder else None),
        **said.both("accountIdLabel", layout.number.label if layout.number else None),
    }


def _gift(layout: Layout, said: _Said, facts: Facts) -> dict[str, Any]:
    return {
        **said.name("merchantName", facts.organisation),
        **said.both("cardNumberLabel", layout.number.label if layout.number else None),
        "allowBarcodeRedemption": True,  # or the barcode is not shown at all
    }


def _rows(layout: Layout) -> dict[str, Any] | None:
    if not layout.rows:
        return None
    rows = []
    for paths in layout.rows:
        name, places = _ROWS[len(paths)]
        items = [{"firstValue": {"fields": [{"fieldPath": path}]}} for path in paths]
        rows.append({name: dict(zip(places, items, strict=True))})
    return {"cardTemplateOverride": {"cardRowTemplateInfos": rows}}


def _links(layout: Layout, said: _Said, facts: Facts) -> list[dict[str, Any]]:
    found = []
    for spec in layout.links:
        address = _address(placeholders.sole(spec.value or ""), facts)
        if address is not None:
            words = present(said.both("description", spec.label))
            found.append({"id": spec.key, "uri": address, **words})
    return found


def _address(name: str | None, facts: Facts) -> str | None:
    match name:
        case "support_phone":
            return _telephone(facts.phone)
        case "terms_url":
            return facts.terms_url
        case _:
            return _website(facts.website)


def _telephone(phone: str | None) -> str | None:
    return "tel:" + "".join(c for c in phone if c.isdigit() or c == "+") if phone else None


def _website(website: str | None) -> str | None:
    if not website:
        return None
    return website if website.startswith(("https://", "http://")) else f"https://{website}"


def _country(phone: str | None) -> str | None:
    """The shop's country, which its phone tells."""
    if not phone:
        return None
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return None
