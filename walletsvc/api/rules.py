"""Programmes' rules: the draft, publishing it, and its versions."""

from __future__ import annotations

import re
from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.rules_schemas import (
    NewDraft,
    ProgrammeChange,
    ProgrammeChanged,
    ProgrammeList,
    ProgrammeSummary,
    RulesPublished,
    RuleVersionList,
    RuleVersionOut,
    RuleVersionSummary,
)
from walletsvc.api.schemas import Page
from walletsvc.core.errors import Conflict, FieldError, InputError, NotFound, Refused
from walletsvc.ledger.models import Unit
from walletsvc.passes.code_policies import switch
from walletsvc.programmes import references, versions
from walletsvc.programmes.models import Programme, RuleState, RuleVersion
from walletsvc.programmes.service import find_programme, list_programmes

_NUMBER: Final = re.compile(r"[0-9]{1,9}")


def list_all(call: Call) -> ProgrammeList:
    """The organisation's programmes."""
    query: Page = call.query
    own = call.key.organisation_id
    after = 0
    if query.cursor is not None:
        try:
            after = find_programme(call.session, own, query.cursor).id
        except NotFound:
            raise no_cursor() from None
    found = list_programmes(call.session, own, after=after, limit=query.limit + 1)
    shown = found[: query.limit]
    numbers = versions.numbers(call.session, [each.id for each in shown])
    return ProgrammeList(
        items=[_summary(call, each, numbers) for each in shown],
        next_cursor=shown[-1].slug if len(found) > query.limit else None,
    )


def change(call: Call) -> ProgrammeChanged:
    """Change a programme."""
    body: ProgrammeChange = call.body
    programme = own_programme(call)
    job = switch(call.session, programme, body.code_policy, actor=call.actor, now=call.now)
    numbers = versions.numbers(call.session, [programme.id])
    return ProgrammeChanged(
        programme=_summary(call, programme, numbers), job=job.public_id if job else None
    )


def read_draft(call: Call) -> RuleVersionOut:
    """The draft."""
    programme = own_programme(call)
    draft = versions.find_draft(call.session, programme.id)
    if draft is None:
        raise NotFound(f"The programme '{programme.slug}' has no draft of its rules.")
    return _whole(draft)


def save_draft(call: Call) -> RuleVersionOut:
    """Keep a rule book as the draft."""
    body: NewDraft = call.body
    programme = own_programme(call)
    with references.inside("rules"):
        draft = versions.save_draft(
            call.session, programme, body.rules, call.actor, body.note, call.now
        )
    return _whole(draft)


def publish(call: Call) -> RulesPublished:
    """Make the draft the rules."""
    programme = own_programme(call)
    former = versions.current(call.session, programme.id)
    version = versions.publish(call.session, programme, call.actor, call.now)
    return RulesPublished(
        version=RuleVersionSummary(**_told(version)), former=former.number if former else None
    )


def list_versions(call: Call) -> RuleVersionList:
    """The versions, newest first."""
    query: Page = call.query
    programme = own_programme(call)
    before = before_version(query)
    found = versions.list_versions(call.session, programme, before=before, limit=query.limit + 1)
    shown = found[: query.limit]
    return RuleVersionList(
        items=[RuleVersionSummary(**_told(version)) for version in shown],
        next_cursor=str(shown[-1].number) if len(found) > query.limit else None,
    )


def read_version(call: Call) -> RuleVersionOut:
    """One version with its rules."""
    return _whole(versions.get(call.session, own_programme(call), version_in_path(call)))


def own_programme(call: Call) -> Programme:
    """The programme in the path; raises NotFound."""
    return find_programme(call.session, call.key.organisation_id, call.path["slug"])


def version_in_path(call: Call) -> int:
    """The number of a version in the path; raises NotFound for what is no number."""
    number = call.path["number"]
    if not _NUMBER.fullmatch(number):
        raise NotFound("There is no such version.")
    return int(number)


def before_version(query: Page) -> int | None:
    """The number of the version after which a piece of a list of versions begins."""
    if query.cursor is None:
        return None
    if not _NUMBER.fullmatch(query.cursor):
        raise no_cursor()
    return int(query.cursor)


def no_cursor() -> InputError:
    """The error of a cursor that is of no such list."""
    message = "is not a cursor of this list"
    return InputError(f"cursor: {message}.", (FieldError("cursor", message, "invalid"),))


def _summary(
    call: Call, programme: Programme, numbers: dict[tuple[int, RuleState], int]
) -> ProgrammeSummary:
    return ProgrammeSummary(
        slug=programme.slug,
        name=programme.name,
        kind=programme.kind,
        currency=programme.currency,
        scale=call.session.get_one(Unit, programme.unit_id).scale,
        time_zone=programme.time_zone,
        code_policy=programme.code_policy,
        rules=numbers.get((programme.id, RuleState.PUBLISHED)),
        draft=numbers.get((programme.id, RuleState.DRAFT)),
        closed_at=programme.closed_at,
    )


def _told(version: RuleVersion) -> dict[str, Any]:
    return {name: getattr(version, name) for name in RuleVersionSummary.model_fields}


def _whole(version: RuleVersion) -> RuleVersionOut:
    return RuleVersionOut(**_told(version), rules=version.book)


PROGRAMME_PATH: Final = {"slug": "The programme's short name."}
BOOK_EXAMPLE: Final[dict[str, Any]] = {
    "tiers": [
        {"code": "bronze", "name": {"ru": "Бронза", "en": "Bronze"}, "threshold": 0},
        {"code": "gold", "name": {"ru": "Золото", "en": "Gold"}, "threshold": 5_000_000},
    ],
    "earn": {"percent_by_tier": {"bronze": "3", "gold": "7.5"}},
}
_SUMMARY_EXAMPLE: Final[dict[str, Any]] = {
    "number": 3,
    "state": "published",
    "note": "Gold from 50 000 ₽",
    "actor": "api-key:5k7m9p1r3t6v8x0z2b4d",
    "created_at": "2026-11-19T15:01:12Z",
    "updated_at": "2026-11-20T09:12:40Z",
    "published_at": "2026-11-20T10:15:42Z",
    "retired_at": None,
}
_DRAFT_EXAMPLE: Final = _SUMMARY_EXAMPLE | {
    "number": 4,
    "state": "draft",
    "published_at": None,
    "rules": BOOK_EXAMPLE,
}
_PROGRAMME_EXAMPLE: Final[dict[str, Any]] = {
    "slug": "coffee",
    "name": "Coffee Club",
    "kind": "points",
    "currency": "RUB",
    "scale": 0,
    "time_zone": "Europe/Moscow",
    "code_policy": "static",
    "rules": 3,
    "draft": None,
    "closed_at": None,
}
OPERATIONS: Final = (
    Operation(
        id="listProgrammes",
        method="GET",
        path="/programmes",
        tag="Rules",
        scope=Scope.RULES_READ,
        summary="List programmes",
        description="The organisation's programmes and the numbers of their rules. A programme "
        "without published rules earns nothing.",
        handler=list_all,
        query=Page,
        answer=ProgrammeList,
        answer_example={
            "items": [_PROGRAMME_EXAMPLE],
            "next_cursor": None,
        },
    ),
    Operation(
        id="changeProgramme",
        method="PATCH",
        path="/programmes/{slug}",
        tag="Rules",
        scope=Scope.RULES_WRITE,
        summary="Change what a programme's cards show",
        description="Whether the number of a card is enough, or discounts and spending need a code "
        "of the moment. Tills go by it at once; the passes follow, by a bulk job of the kind "
        "`codes`.",
        handler=change,
        body=ProgrammeChange,
        body_example={"code_policy": "time_based"},
        answer=ProgrammeChanged,
        answer_example={
            "programme": _PROGRAMME_EXAMPLE | {"code_policy": "time_based"},
            "job": "7c9e1g3j5m7p9r1t3v5x",
        },
        problems=(Conflict, Refused),
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="readRulesDraft",
        method="GET",
        path="/programmes/{slug}/rules/draft",
        tag="Rules",
        scope=Scope.RULES_READ,
        summary="Read the draft of the rules",
        description="What would be published. There is at most one draft.",
        handler=read_draft,
        answer=RuleVersionOut,
        answer_example=_DRAFT_EXAMPLE,
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="saveRulesDraft",
        method="PUT",
        path="/programmes/{slug}/rules/draft",
        tag="Rules",
        scope=Scope.RULES_WRITE,
        summary="Save the draft of the rules",
        description="Checks the whole book and keeps it as the draft, in place of the one before. "
        "Every mistake is named with its field, also branches, groups and organisations that do "
        "not exist or do not accept the programme's points. Nothing is earned by a draft.",
        handler=save_draft,
        body=NewDraft,
        body_example={"rules": BOOK_EXAMPLE, "note": "Gold from 50 000 ₽"},
        answer=RuleVersionOut,
        answer_example=_DRAFT_EXAMPLE,
        problems=(Refused,),
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="publishRules",
        method="POST",
        path="/programmes/{slug}/rules/publish",
        tag="Rules",
        scope=Scope.RULES_WRITE,
        summary="Publish the draft",
        description="From now on purchases are computed by it; each purchase remembers its "
        "version, and a message that comes late is computed by the version of its own time. Who "
        "reaches a higher tier by it moves up at once, who is in a tier that is no more leaves "
        "it: a bulk job of the kind `tiers`. Nobody moves down before the regular check.",
        handler=publish,
        answer=RulesPublished,
        answer_example={"version": _SUMMARY_EXAMPLE, "former": 2},
        key=KeyRule.OPTIONAL,
        problems=(Conflict, Refused),
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="listRuleVersions",
        method="GET",
        path="/programmes/{slug}/rules",
        tag="Rules",
        scope=Scope.RULES_READ,
        summary="List the versions of the rules",
        description="Newest first, the draft among them; without the rules themselves.",
        handler=list_versions,
        query=Page,
        answer=RuleVersionList,
        answer_example={"items": [_SUMMARY_EXAMPLE], "next_cursor": None},
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="readRuleVersion",
        method="GET",
        path="/programmes/{slug}/rules/{number}",
        tag="Rules",
        scope=Scope.RULES_READ,
        summary="Read a version of the rules",
        description="A published version never changes.",
        handler=read_version,
        answer=RuleVersionOut,
        answer_example=_SUMMARY_EXAMPLE | {"rules": BOOK_EXAMPLE},
        path_parameters=PROGRAMME_PATH | {"number": "The version's number."},
    ),
)
