"""The neutral description of a pass, and the content one pass has.

A *description* belongs to a template version: layout, colours, texts. *Content* belongs to
one pass: the values its description asks for. Both are independent of any wallet; a dialect
puts the two together.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Language = Annotated[str, StringConstraints(pattern=r"^(ru|en)$")]

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Strict(BaseModel):
    """No unknown keys, nothing changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Style(enum.StrEnum):
    """What kind of card it is; each dialect knows its own name for it."""

    LOYALTY = "loyalty"
    GIFT = "gift"


class Align(enum.StrEnum):
    """Where a field's text stands."""

    NATURAL = "natural"
    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


class DateLook(enum.StrEnum):
    """How much of a moment is shown."""

    DATE = "date"
    DATE_TIME = "date-time"


class FieldSpec(Strict):
    """One field of the face or the back.

    `value` is either a placeholder (`{points}`, which keeps its type: number, money, date),
    a text with placeholders in it, or, with `text`, the key of a fixed text. `label` and
    `change` are keys of texts; a `change` text holds `%@` where the new value goes.
    """

    key: Key
    label: Key | None = None
    value: str | None = None
    text: Key | None = None
    change: Key | None = None
    align: Align = Align.NATURAL
    date: DateLook = DateLook.DATE

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.value is None) == (self.text is None):
            raise ValueError("needs either 'value' or 'text'")
        return self


class Fields(Strict):
    """Fields by place; what Apple shows of each is limited (3, 1, and 4 in the two rows)."""

    header: list[FieldSpec] = Field(default_factory=list, max_length=3)
    primary: list[FieldSpec] = Field(default_factory=list, max_length=1)
    secondary: list[FieldSpec] = Field(default_factory=list, max_length=4)
    auxiliary: list[FieldSpec] = Field(default_factory=list, max_length=4)
    back: list[FieldSpec] = Field(default_factory=list, max_length=40)

    def everywhere(self) -> list[FieldSpec]:
        """All fields, in the order of their places."""
        return [spec for _, spec in self.placed()]

    def placed(self) -> Iterator[tuple[str, FieldSpec]]:
        """All fields with where they stand: `fields.header[0]`."""
        for place in ("header", "primary", "secondary", "auxiliary", "back"):
            for index, spec in enumerate(getattr(self, place)):
                yield f"fields.{place}[{index}]", spec


class Colours(Strict):
    """`#rrggbb` each."""

    background: Colour
    foreground: Colour
    label: Colour


class BarcodeFormat(enum.StrEnum):
    """Symbologies every supported phone can show."""

    QR = "qr"
    AZTEC = "aztec"
    PDF417 = "pdf417"
    CODE128 = "code128"


class Barcode(Strict):
    """The first format a phone supports is shown; `message` and `alt` hold placeholders."""

    formats: list[BarcodeFormat] = Field(min_length=1)
    message: str
    alt: str = ""


class Nfc(Strict):
    """What the card tells a contactless terminal: `message` holds placeholders.

    `encryption_public_key` is the terminal operator's, in the form the wallet asks for (for
    Apple: a P-256 key, SubjectPublicKeyInfo in base64). With `requires_authentication` the
    holder must show face, finger or code each time.
    """

    message: str = Field(min_length=1)
    encryption_public_key: str
    requires_authentication: bool = False


class Description(Strict):
    """A template version: everything about the passes of a programme but their values."""

    style: Style
    description: Key
    logo_text: Key | None = None
    colours: Colours
    fields: Fields
    barcode: Barcode
    sharing_prohibited: bool = False
    # Left out when there is none, so that the digests of templates without it stay.
    nfc: Nfc | None = Field(default=None, exclude_if=lambda nfc: nfc is None)
    texts: dict[Language, dict[Key, str]]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[str] = set()
        for spec in self.fields.everywhere():
            if spec.key in seen:
                raise ValueError(f"fields: the key '{spec.key}' is used twice")
            seen.add(spec.key)
            for name in (spec.label, spec.text, spec.change):
                self._require_text(name)
            if spec.change and any("%@" not in t[spec.change] for t in self.texts.values()):
                raise ValueError(f"texts: '{spec.change}' announces a change and needs %@")
        self._require_text(self.description)
        self._require_text(self.logo_text)
        if len(self.fields.secondary) + len(self.fields.auxiliary) > 4:
            raise ValueError(
                "fields: Wallet shows at most 4 secondary and auxiliary fields together"
            )
        return self

    def _require_text(self, name: str | None) -> None:
        for language, texts in self.texts.items():
            if name is not None and name not in texts:
                raise ValueError(f"texts: '{name}' is missing in '{language}'")


class MoneyValue(Strict):
    """An amount in minor units with what is needed to show it."""

    amount: int
    currency: str
    scale: int = 2


class Content(Strict):
    """What one pass says now. `values` maps field keys to numbers (points, already in whole
    or decimal form), money, moments or text; a field without a value is not shown.
    `generation` is the pass type's: it shows nowhere, but a pass that was signed with an earlier
    certificate is not what it should be now. `rotating` is the barcode with Google's sign for a
    code by the time, whose key stands elsewhere."""

    values: dict[str, int | float | MoneyValue | datetime | str]
    barcode: str
    barcode_alt: str = ""
    nfc: str = ""
    rotating: str = ""
    organisation: str
    voided: bool = False
    expires_at: datetime | None = None
    generation: int = 0

    def as_json(self) -> dict[str, Any]:
        """The form that is stored and digested."""
        return self.model_dump(mode="json", exclude_defaults=True)
