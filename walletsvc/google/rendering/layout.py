"""Which field of a description stands where on Google's card.

Google has a place of its own for what it knows (points, a second value, the holder's name, a
number, a gift card's balance) and announces only some of these. Everything else is a text
module: the pass's own values on the object, fixed texts on the class. Up to three rows of the
card's face show what stands on the front; the rest is among the details.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from walletsvc.google.models import Kind
from walletsvc.passes import placeholders
from walletsvc.passes.schemas import PLACEHOLDER, Description, FieldSpec, Style

KINDS: Final = {Style.LOYALTY: Kind.LOYALTY, Style.GIFT: Kind.GIFT_CARD}
# Shown among the details, of the object and of the class each.
MODULES: Final = 10
ROWS: Final = 3
ROW_ITEMS: Final = 3

_FRONT: Final = ("header", "primary", "secondary", "auxiliary")
# What the places of Google's own show.
_BALANCE: Final = {Style.LOYALTY: "points", Style.GIFT: "balance"}
_NUMBER: Final = {Style.LOYALTY: "card_number", Style.GIFT: "code"}
_CONTACTS: Final = frozenset({"website", "support_phone", "terms_url"})


@dataclass(frozen=True)
class Layout:
    """A description's fields, sorted into Google's places. None: no field shows such a thing."""

    description: Description

    @property
    def kind(self) -> Kind:
        """The kind of class and object."""
        return KINDS[self.description.style]

    @cached_property
    def front(self) -> tuple[FieldSpec, ...]:
        """The fields of the card's face, in their order."""
        fields = self.description.fields
        return tuple(spec for place in _FRONT for spec in getattr(fields, place))

    @cached_property
    def balance(self) -> FieldSpec | None:
        """The points or the gift card's balance; points may stand within a text."""
        name = _BALANCE[self.description.style]
        found = self._showing(name)
        if found is not None:
            return found
        within = [
            spec
            for spec in self.description.fields.everywhere()
            if name in PLACEHOLDER.findall(spec.value or "")
        ]
        return next((spec for spec in within if spec.change), within[0] if within else None)

    @cached_property
    def second(self) -> FieldSpec | None:
        """The second value of a loyalty card, which Google announces too: the tier, or else the
        next value that is announced."""
        if self.description.style is not Style.LOYALTY:
            return None
        tier = self._showing("tier")
        if tier is not None:
            return tier
        for spec in self.description.fields.everywhere():
            if spec.change and spec.value is not None and not self._is_shown_by(spec, self.balance):
                return spec
        return None

    @cached_property
    def holder(self) -> FieldSpec | None:
        """The holder's name, for `accountName`."""
        return self._free("holder_name") if self.description.style is Style.LOYALTY else None

    @cached_property
    def number(self) -> FieldSpec | None:
        """The number of the card or certificate, for `accountId` or `cardNumber`."""
        return self._free(_NUMBER[self.description.style])

    @cached_property
    def places(self) -> dict[str, FieldSpec]:
        """The fields in places of Google's own, by the path that refers to the place."""
        loyalty = self.description.style is Style.LOYALTY
        paths = {
            "object.loyaltyPoints.balance" if loyalty else "object.balance": self.balance,
            "object.secondaryLoyaltyPoints.balance": self.second,
            "object.accountName": self.holder,
            "object.accountId" if loyalty else "object.cardNumber": self.number,
        }
        return {path: spec for path, spec in paths.items() if spec is not None}

    @cached_property
    def doubles(self) -> tuple[FieldSpec, ...]:
        """Fields that say again what stands in a place of Google's own: shown once."""
        natives = self.places.values()
        return tuple(
            spec
            for spec in self.description.fields.everywhere()
            if spec not in natives and any(self._is_shown_by(spec, native) for native in natives)
        )

    @cached_property
    def links(self) -> tuple[FieldSpec, ...]:
        """Contact details and the terms on the back: links of the class."""
        return tuple(
            spec
            for spec in self.description.fields.back
            if spec.value is not None and placeholders.sole(spec.value) in _CONTACTS
            if spec not in self.places.values()
        )

    @cached_property
    def own(self) -> tuple[FieldSpec, ...]:
        """The values that are text modules of the object, those of the front first."""
        elsewhere = (*self.places.values(), *self.doubles, *self.links)
        return tuple(
            spec
            for spec in self.description.fields.everywhere()
            if spec.value is not None and spec not in elsewhere
        )

    @cached_property
    def fixed(self) -> tuple[FieldSpec, ...]:
        """The fixed texts: text modules of the class."""
        return tuple(spec for spec in self.description.fields.everywhere() if spec.text is not None)

    @cached_property
    def announced(self) -> tuple[FieldSpec, ...]:
        """The fields whose changes are announced, each value once."""
        return tuple(
            spec
            for spec in self.description.fields.everywhere()
            if spec.change and spec.value is not None and spec not in self.doubles
        )

    @cached_property
    def notifying(self) -> frozenset[str]:
        """Keys of those that Google announces itself; the others need a message."""
        if self.description.style is not Style.LOYALTY:
            return frozenset()  # no field of a gift card does
        return frozenset(
            spec.key for spec in (self.balance, self.second) if spec is not None and spec.change
        )

    @cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Paths of what the face shows, row by row: what Google announces stands first."""
        items = self._items[: ROWS * ROW_ITEMS]
        if not items:
            return ()
        # Two beside each other are read well; three only where there are too many for that.
        count = min(ROWS, -(-len(items) // 2))
        short, longer = divmod(len(items), count)
        rows, start = [], 0
        for number in range(count):
            end = start + short + (number < longer)
            rows.append(items[start:end])
            start = end
        return tuple(rows)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Paths that would stand on the face, were there room; they are among the details."""
        return self._items[ROWS * ROW_ITEMS :]

    @cached_property
    def _items(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._paths()))

    def _paths(self) -> Iterator[str]:
        paths = {spec.key: path for path, spec in self.places.items()}
        for spec in (self.balance, self.second):
            if spec is not None:
                yield paths[spec.key]
        for spec in self.front:
            if spec in self.doubles:
                yield from (path for path, native in self.places.items()
                            if self._is_shown_by(spec, native))  # fmt: skip
            elif spec.text is not None:
                yield f"class.textModulesData['{spec.key}']"
            else:
                yield paths.get(spec.key, f"object.textModulesData['{spec.key}']")

    def _showing(self, name: str) -> FieldSpec | None:
        """The field that shows just this value, one that announces it before one that does not."""
        found = [
            spec for spec in self.description.fields.everywhere() if spec.value == f"{{{name}}}"
        ]
        return next((spec for spec in found if spec.change), found[0] if found else None)

    def _free(self, name: str) -> FieldSpec | None:
        """The same, unless it is the second value already."""
        found = self._showing(name)
        return None if found is not None and found == self.second else found

    @staticmethod
    def _is_shown_by(spec: FieldSpec, native: FieldSpec | None) -> bool:
        return native is not None and spec.value is not None and spec.value == native.value
