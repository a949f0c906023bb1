"""Fields: which are hidden, moved, shown once, or announced in other words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from walletsvc.google.rendering.layout import MODULES, ROW_ITEMS, ROWS, Layout
from walletsvc.passes.findings import LAYOUT, Finding, note, warning
from walletsvc.passes.schemas import Align, FieldSpec, Style

# Beyond these Google shortens a label of points.
LABEL: Final = 9


def findings(layout: Layout) -> Iterator[Finding]:
    """What becomes of the fields."""
    paths = {spec.key: path for path, spec in layout.description.fields.placed()}
    yield from _labels(layout, paths)
    yield from _hidden(layout, paths)
    yield from _moved(layout, paths)
    yield from _announced(layout, paths)
    for spec in layout.doubles:
        text = "says again what stands elsewhere on the card; Google Wallet shows it once"
        yield note("google-once", LAYOUT, paths[spec.key], text)
    for path, spec in layout.description.fields.placed():
        if spec.align is not Align.NATURAL:
            text = "has no effect in Google Wallet, which aligns by the place in the row"
            yield note("google-align", LAYOUT, f"{path}.align", text)


def _labels(layout: Layout, paths: dict[str, str]) -> Iterator[Finding]:
    if layout.description.style is Style.GIFT:
        if layout.balance is not None and layout.balance.label is not None:
            where = f"{paths[layout.balance.key]}.label"
            text = "is not shown in Google Wallet, which has a word of its own for a balance"
            yield note("google-label", LAYOUT, where, text)
        return
    for spec in (layout.balance, layout.second):
        if spec is not None and (longest := _longest_label(layout, spec)) > LABEL:
            text = f"has {longest} characters; Google Wallet may shorten more than {LABEL}"
            yield note("google-label-long", LAYOUT, f"{paths[spec.key]}.label", text)


def _longest_label(layout: Layout, spec: FieldSpec) -> int:
    if spec.label is None:
        return 0
    return max(len(texts[spec.label]) for texts in layout.description.texts.values())


def _hidden(layout: Layout, paths: dict[str, str]) -> Iterator[Finding]:
    for specs, what in ((layout.own, "values"), (layout.fixed, "fixed texts")):
        for spec in specs[MODULES:]:
            text = f"is not shown in Google Wallet, which has room for {MODULES} {what}"
            yield warning("google-hidden", LAYOUT, paths[spec.key], text)


def _moved(layout: Layout, paths: dict[str, str]) -> Iterator[Finding]:
    for spec in (layout.balance, layout.second):
        if spec is not None and spec not in layout.front:
            text = "stands on the face of the card in Google Wallet, which has a place for it there"
            yield note("google-on-face", LAYOUT, paths[spec.key], text)
    for path in layout.left_out:
        for spec in layout.front:
            if f"['{spec.key}']" in path or layout.places.get(path) == spec:
                text = (
                    f"stands among the details in Google Wallet: the face has room for"
                    f" {ROWS * ROW_ITEMS} values"
                )
                yield note("google-in-details", LAYOUT, paths[spec.key], text)


def _announced(layout: Layout, paths: dict[str, str]) -> Iterator[Finding]:
    for spec in layout.announced:
        where = f"{paths[spec.key]}.change"
        if spec.key in layout.notifying:
            text = "is not used by Google Wallet, which announces the new value in its own words"
            yield note("google-wording", LAYOUT, where, text)
        else:
            text = (
                "stands in the card as a message in Google Wallet; the phone announces only that"
                " there is one"
            )
            yield note("google-message", LAYOUT, where, text)
