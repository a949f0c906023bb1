"""The body of an object: what one pass says.

What does not depend on the pass is prepared once per template version; a broadcast renders a
hundred thousand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from walletsvc.cards.codes.rules import STEP_SECONDS, TIME_DIGITS
from walletsvc.core.clock import rfc3339
from walletsvc.google.models import Kind
from walletsvc.google.rendering.layout import MODULES, Layout
from walletsvc.google.rendering.texts import both, localised, present, root_of
from walletsvc.google.rendering.values import money, points, spelled
from walletsvc.passes import placeholders
from walletsvc.passes.schemas import BarcodeFormat, Description, FieldSpec

BARCODES: Final = {
    BarcodeFormat.QR: "QR_CODE",
    BarcodeFormat.AZTEC: "AZTEC",
    BarcodeFormat.PDF417: "PDF_417",
    BarcodeFormat.CODE128: "CODE_128",
}
# What Google can show codes by the time in.
ROTATING: Final = ("QR_CODE", "PDF_417")
PAGE: Final = {"ru": "Моя карта", "en": "My card"}


@dataclass(frozen=True, slots=True)
class Named:
    """What an object is called, the address of the card's page, and the key of its codes by the
    time, in base 16."""

    object_id: str
    class_id: str
    serial: str
    page: str
    secret: str | None = field(default=None, repr=False)


class Speller:
    """Values of one field as texts, in every language of the template."""

    def __init__(self, description: Description, spec: FieldSpec) -> None:
        self.key: Final = spec.key
        self._languages = tuple(description.texts)
        self._is_moment = placeholders.kind(description.style, spec) is placeholders.Kind.DATE
        self._look = spec.date

    def __call__(self, value: Any) -> dict[str, str]:
        """The value's text by language."""
        if isinstance(value, str) and not self._is_moment:
            return dict.fromkeys(self._languages, value)
        return {
            language: spelled(value, is_moment=self._is_moment, look=self._look, language=language)
            for language in self._languages
        }


class ObjectPlan:
    """How the objects of one template version get their bodies."""

    def __init__(self, description: Description, default_language: str) -> None:
        self.layout: Final = Layout(description)
        self.root: Final = root_of(description.texts, default_language)
        self.kind: Final = self.layout.kind
        layout = self.layout
        self._modules = [
            (spec.key, Speller(description, spec), self._header(spec)) for spec in layout.own
        ]
        self._balance = self._slot(layout.balance)
        self._second = self._slot(layout.second)
        self._holder = layout.holder
        self._number = layout.number
        self._barcode = BARCODES[description.barcode.formats[0]]
        self._rotating = self._barcode if self._barcode in ROTATING else ROTATING[0]

    def body(
        self, content: Mapping[str, Any], named: Named, published_at: datetime
    ) -> dict[str, Any]:
        """The whole object as an insert takes it; `content` is the stored form of `Content`."""
        values = content["values"]
        body: dict[str, Any] = {
            "id": named.object_id,
            "classId": named.class_id,
            "state": _state(content, self.kind, values, self.layout.balance, published_at),
            "barcode": self._code(content),
            "rotatingBarcode": self._rotating_code(content, named.secret),
            "validTimeInterval": _validity(content),
            "textModulesData": self._texts(values),
            "linksModuleData": {"uris": [self._page(named.page)]},
        }
        if self.kind is Kind.LOYALTY:
            body["loyaltyPoints"] = self._points(self._balance, values)
            body["secondaryLoyaltyPoints"] = self._points(self._second, values)
            body["accountName"] = self._value(self._holder, values)
            body["accountId"] = self._value(self._number, values)
        else:
            balance = values.get(self.layout.balance.key) if self.layout.balance else None
            amount = money(balance) if isinstance(balance, dict) else None
            body["balance"] = amount
            body["balanceUpdateTime"] = {"date": rfc3339(published_at)} if amount else None
            # Required, so whatever tells the certificates apart will do.
            body["cardNumber"] = (
                self._value(self._number, values)
                or content.get("barcode_alt")
                or content["barcode"]
                or named.serial
            )
        return body

    def _header(self, spec: FieldSpec) -> dict[str, Any]:
        description = self.layout.description
        if spec.label is None:
            return {}
        label = {language: texts[spec.label] for language, texts in description.texts.items()}
        return present(both("header", label, self.root))

    def _slot(self, spec: FieldSpec | None) -> tuple[Speller, dict[str, Any]] | None:
        """A field of points: how it is spelled, and its label."""
        if spec is None:
            return None
        texts = self.layout.description.texts
        label = {lang: said[spec.label] for lang, said in texts.items()} if spec.label else None
        return Speller(self.layout.description, spec), both("label", label, self.root)

    def _points(
        self, slot: tuple[Speller, dict[str, Any]] | None, values: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        if slot is None:
            return None
        spell, label = slot
        value = values.get(spell.key)
        if value is None or value == "":
            return None
        return {**label, "balance": points(value, spell(value)[self.root])}

    def _value(self, spec: FieldSpec | None, values: Mapping[str, Any]) -> str | None:
        value = values.get(spec.key) if spec is not None else None
        return None if value is None or value == "" else str(value)

    def _texts(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        modules = []
        for key, spell, header in self._modules:
            value = values.get(key)
            if value is None or value == "":
                continue
            said = spell(value)
            module = {"id": key, **header, "body": said[self.root]}
            other = localised(said, self.root)
            if other is not None:
                module["localizedBody"] = other
            modules.append(module)
        return modules[:MODULES]

    def _page(self, page: str) -> dict[str, Any]:
        said = {language: PAGE[language] for language in self.layout.description.texts}
        return {"id": "page", "uri": page, **present(both("description", said, self.root))}

    def _code(self, content: Mapping[str, Any]) -> dict[str, Any] | None:
        message = content["barcode"]
        if not message:
            return None
        return {"value": message, **_look(self._barcode, message, content)}

    def _rotating_code(
        self, content: Mapping[str, Any], secret: str | None
    ) -> dict[str, Any] | None:
        """The barcode that phones make anew by the time; where they cannot, they show the other."""
        pattern = content.get("rotating")
        if not pattern or secret is None:
            return None
        parameter = {"key": secret, "valueLength": TIME_DIGITS}
        return {
            "valuePattern": pattern,
            "totpDetails": {
                "algorithm": "TOTP_SHA1",
                "periodMillis": str(STEP_SECONDS * 1000),
                "parameters": [parameter],
            },
            **_look(self._rotating, pattern, content),
        }


def _look(symbology: str, message: str, content: Mapping[str, Any]) -> dict[str, Any]:
    # Without it scanners are given Latin 1, and Google knows it for QR only.
    utf8 = symbology == "QR_CODE" and not message.isascii()
    return {
        "type": symbology,
        "alternateText": content.get("barcode_alt") or None,
        "renderEncoding": "UTF_8" if utf8 else None,
    }


def _validity(content: Mapping[str, Any]) -> dict[str, Any] | None:
    end = content.get("expires_at")
    return {"end": {"date": end}} if end else None


def _state(
    content: Mapping[str, Any],
    kind: Kind,
    values: Mapping[str, Any],
    balance: FieldSpec | None,
    at: datetime,
) -> str:
    """Why a void pass is void; Google moves all but active ones out of the way."""
    if not content.get("voided"):
        return "ACTIVE"
    end = content.get("expires_at")
    if end and datetime.fromisoformat(end) <= at:
        return "EXPIRED"
    left = values.get(balance.key) if kind is Kind.GIFT_CARD and balance is not None else None
    if isinstance(left, dict) and left["amount"] == 0:
        return "COMPLETED"
    return "INACTIVE"
