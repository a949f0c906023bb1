"""What of a pass is announced: the values, and the message for those that Google leaves silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from walletsvc.google.rendering.layout import Layout
from walletsvc.google.rendering.objects import Speller
from walletsvc.google.rendering.texts import both, present, root_of
from walletsvc.passes.schemas import Description, FieldSpec
from walletsvc.passes.template_checks import VALUE


class NoticePlan:
    """How the changes of one template version's passes are told."""

    def __init__(self, description: Description, default_language: str) -> None:
        layout = Layout(description)
        self.notifies: Final = layout.notifying
        self._texts = description.texts
        self._title = description.description
        self._root = root_of(description.texts, default_language)
        self._announced = tuple((spec, Speller(description, spec)) for spec in layout.announced)

    def values(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """What is announced, by field key; a field without a value is left out."""
        values = content["values"]
        return {
            spec.key: values[spec.key]
            for spec, _ in self._announced
            if values.get(spec.key) not in (None, "")
        }

    def message(
        self, before: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Google's Message, without id and type, for what changed and Google does not announce
        itself; None when there is nothing of it.

        A value that was not there before is no change: a new template would be announced to
        everybody.
        """
        told = [
            (spec, spell(values[spec.key]))
            for spec, spell in self._announced
            if spec.key not in self.notifies
            and spec.key in before
            and spec.key in values
            and before[spec.key] != values[spec.key]
        ]
        if not told:
            return None
        header = self._header([spec for spec, _ in told])
        body = {
            language: "\n".join(
                texts[spec.change or ""].replace(VALUE, said[language]) for spec, said in told
            )
            for language, texts in self._texts.items()
        }
        return present(both("header", header, self._root) | both("body", body, self._root))

    def _header(self, specs: list[FieldSpec]) -> dict[str, str]:
        """The changed field's name, or the card's when there are several."""
        name = specs[0].label if len(specs) == 1 else None
        return {language: texts[name or self._title] for language, texts in self._texts.items()}
