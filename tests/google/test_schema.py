"""Whatever a shop publishes, Google takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.google.samples import FACTS, accepted, body, class_of
from tests.google.strategies import contents, descriptions
from walletsvc.emulators.google import rules
from walletsvc.emulators.google.schema import check
from walletsvc.google.rendering.layout import MODULES, Layout
from walletsvc.google.rendering.notices import NoticePlan
from walletsvc.google.rendering.objects import ObjectPlan
from walletsvc.passes.schemas import Description

SLOW_TO_DRAW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@SLOW_TO_DRAW
@given(st.data())
def test_any_content_makes_an_object(data: st.DataObject) -> None:
    """By Google's own schema, and the rules that stand only in its prose."""
    description = data.draw(descriptions())
    content = data.draw(contents(description))
    made = body(description, data.draw(st.sampled_from(("ru", "en"))), **content)
    assert len(made["textModulesData"]) <= MODULES
    _every_value_is_somewhere(description, content, made)


def _every_value_is_somewhere(
    description: Description, content: dict[str, Any], made: dict[str, Any]
) -> None:
    """A value is a module, stands in a place of Google's own, or is the class's."""
    layout = Layout(description)
    modules = {module["id"] for module in made["textModulesData"]}
    elsewhere = {spec.key for spec in (*layout.places.values(), *layout.doubles, *layout.links)}
    missing = set(content["values"]) - modules - elsewhere
    assert not missing or len(modules) == MODULES
    assert not modules & elsewhere


@SLOW_TO_DRAW
@given(descriptions(), st.booleans())
def test_any_template_makes_a_class(description: Description, bare: bool) -> None:
    """Whatever the shop has told of itself."""
    facts = replace(FACTS, phone=None, website=None, callback_url=None) if bare else FACTS
    class_of(description, facts)


@SLOW_TO_DRAW
@given(st.data())
def test_any_change_makes_a_message_or_none(data: st.DataObject) -> None:
    """One that Google takes, just when something of it changed that Google says nothing of."""
    description = data.draw(descriptions())
    notices = NoticePlan(description, "ru")
    before, after = (notices.values(data.draw(contents(description))) for _ in range(2))
    message = notices.message(before, after)
    changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
    assert (message is not None) == bool(changed - notices.notifies)
    if message is not None:
        check("Message", message)
        rules.check_message(message, "message")


@SLOW_TO_DRAW
@given(st.data())
def test_a_patch_leaves_nothing_of_the_former_content(data: st.DataObject) -> None:
    """An object is what an insert of the later content would have made of it."""
    description = data.draw(descriptions())
    plan = ObjectPlan(description, "ru")
    former, later = (body(description, **data.draw(contents(description))) for _ in range(2))
    assert plan.kind is Layout(description).kind
    merged = _merged(_merged({}, former), later)
    assert merged == _merged({}, later)
    accepted("Object", description, merged)


def _merged(kept: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """JSON Merge Patch (RFC 7396), which is what PATCH means at Google."""
    merged = dict(kept)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            found = merged.get(key)
            merged[key] = _merged(found if isinstance(found, dict) else {}, value)
        else:
            merged[key] = value
    return merged
