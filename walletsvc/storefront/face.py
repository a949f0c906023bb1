"""A card's face as a wallet would draw it, ready for the page: texts chosen, values formatted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import segno
from markupsafe import Markup

from walletsvc.passes import placeholders
from walletsvc.passes.formats import written
from walletsvc.passes.schemas import Description, FieldSpec

_LONG: Final = 8  # characters beyond which the large field is set smaller
_VERY_LONG: Final = 11  # and smaller still: a sum of money must stay on one line


@dataclass(frozen=True)
class FaceField:
    """One field to show. `href` makes it a link; `says` is what the template has it say, such as
    `{tier}`."""

    key: str
    label: str
    value: str
    align: str
    href: str = ""
    says: str = ""

    @property
    def size(self) -> str:
        """The class of a value that needs smaller letters on the strip."""
        if len(self.value) > _VERY_LONG:
            return "very-long"
        return "long" if len(self.value) > _LONG else ""


@dataclass(frozen=True)
class Face:
    """Everything on the front and the back, by place."""

    title: str
    logo_text: str
    organisation: str
    header: list[FaceField]
    primary: list[FaceField]
    row: list[FaceField]
    back: list[FaceField]
    code: Markup
    code_text: str


def compose(
    description: Description, content: Mapping[str, Any], language: str, base_url: str = ""
) -> Face:
    """The face of a pass with this content, in this language; links begin with `base_url`."""
    texts = description.texts.get(language) or next(iter(description.texts.values()))

    def shown(specs: list[FieldSpec]) -> list[FaceField]:
        made = (
            _field(description, spec, content["values"], texts, language, base_url)
            for spec in specs
        )
        return [field for field in made if field is not None]

    fields = description.fields
    return Face(
        title=texts[description.description],
        logo_text=texts[description.logo_text] if description.logo_text else "",
        organisation=content["organisation"],
        header=shown(fields.header),
        primary=shown(fields.primary),
        row=shown([*fields.secondary, *fields.auxiliary]),
        back=shown(fields.back),
        code=qr(content["barcode"]),
        code_text=content.get("barcode_alt", ""),
    )


def _field(
    description: Description,
    spec: FieldSpec,
    values: Mapping[str, Any],
    texts: Mapping[str, str],
    language: str,
    base_url: str,
) -> FaceField | None:
    label = texts[spec.label] if spec.label else ""
    if spec.text is not None:
        return FaceField(spec.key, label, texts[spec.text].strip(), spec.align)
    if spec.key not in values:
        return None
    kind = placeholders.kind(description.style, spec)
    value = written(kind, values[spec.key], language)
    if kind is placeholders.Kind.LINK:
        address = f"{base_url}{value}"
        return FaceField(spec.key, label, address, spec.align, value, spec.value or "")
    return FaceField(spec.key, label, value, spec.align, _link(spec, value), spec.value or "")


def _link(spec: FieldSpec, value: str) -> str:
    if spec.value == "{support_phone}":
        return "tel:" + "".join(c for c in value if c.isdigit() or c == "+")
    if spec.value == "{website}":
        return value if value.startswith(("https://", "http://")) else f"https://{value}"
    return ""


def qr(message: str) -> Markup:
    """A QR code as inline SVG that scales with its box; black on white in every colour scheme."""
    drawing = segno.make_qr(message, error="m").svg_inline(
        border=0, omitsize=True, dark="#000", svgclass="qr", lineclass=None
    )
    return Markup(drawing)  # noqa: S704 - made by segno from modules, no text of ours in it
