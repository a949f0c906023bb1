"""How programmes take people in, and from which sources they come."""

from __future__ import annotations

from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api.enrolment_schemas import (
    CountedSource,
    EnrolmentOut,
    EnrolmentRules,
    FormFields,
    NewSource,
    SourceList,
    SourceOut,
    TillText,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.rules import own_programme
from walletsvc.core.errors import Refused
from walletsvc.enrolment import settings, sources
from walletsvc.enrolment.models import JoinSource
from walletsvc.enrolment.settings import Presence, Rules
from walletsvc.merchants.models import Branch
from walletsvc.programmes.models import Programme

_TAG: Final = "Enrolment"


def read_settings(call: Call) -> EnrolmentOut:
    """How it takes people in."""
    programme = own_programme(call)
    return _rules(call, programme, settings.of(call.session, programme))


def change_settings(call: Call) -> EnrolmentOut:
    """Take people in otherwise from now on."""
    body: EnrolmentRules = call.body
    programme = own_programme(call)
    wanted = Rules(
        open=body.open,
        verified_only=body.verified_only,
        unproven=body.unproven,
        card_link=body.card_link,
        fields={name: Presence(each) for name, each in body.fields.model_dump().items()},
        routes=tuple(body.routes),
        till_text=body.till_text.model_dump(exclude_none=True),
    )
    done = settings.change(call.session, programme, wanted, actor=call.actor, now=call.now)
    return _rules(call, programme, done)


def list_sources(call: Call) -> SourceList:
    """Where people met the form, and how many came."""
    return SourceList(
        items=[
            CountedSource(
                **_source(call, each.source, each.branch),
                applications=each.applications,
                given_up=each.given_up,
                cards=each.cards,
            )
            for each in sources.counted(call.session, own_programme(call))
        ]
    )


def create_source(call: Call) -> SourceOut:
    """A place more."""
    body: NewSource = call.body
    made = sources.create(
        call.session,
        own_programme(call),
        branch=body.branch,
        campaign=body.campaign,
        label=body.label,
        now=call.now,
    )
    return SourceOut(**_source(call, made, _branch(call, made)))


def close_source(call: Call) -> SourceOut:
    """Count nobody to it any more."""
    found = sources.find(call.session, call.key.organisation_id, call.path["source_id"])
    closed = sources.close(call.session, found, call.now)
    return SourceOut(**_source(call, closed, _branch(call, closed)))


def _rules(call: Call, programme: Programme, rules: Rules) -> EnrolmentOut:
    return EnrolmentOut(
        programme=programme.slug,
        open=rules.open,
        join_url=f"{call.deps.settings.base_url}/join/{programme.slug}",
        verified_only=rules.verified_only,
        unproven=rules.unproven,
        card_link=rules.card_link,
        fields=FormFields(**rules.fields),
        routes=list(rules.routes),
        till_text=TillText(**rules.till_text),
    )


def _branch(call: Call, source: JoinSource) -> Branch | None:
    if source.branch_id is None:
        return None
    return call.session.get_one(Branch, source.branch_id)


def _source(call: Call, source: JoinSource, branch: Branch | None) -> dict[str, Any]:
    return {
        "id": source.public_id,
        "code": source.code,
        "url": f"{call.deps.settings.base_url}/j/{source.code}",
        "branch": branch.public_id if branch else None,
        "campaign": source.campaign,
        "label": source.label,
        "created_at": source.created_at,
        "closed_at": source.closed_at,
    }


_PROGRAMME: Final = {"slug": "The programme's short name."}
_SETTINGS: Final[dict[str, Any]] = {
    "open": True,
    "verified_only": False,
    "unproven": True,
    "card_link": True,
    "fields": {"last_name": "optional", "birthday": "optional", "email": "hidden"},
    "routes": ["sms", "call"],
    "till_text": {"ru": "Согласие на обработку данных: {link}.", "en": None},
}
_SHOWN: Final = {
    "programme": "coffee",
    "join_url": "https://cards.example.com/join/coffee",
    **_SETTINGS,
}
_SOURCE: Final[dict[str, Any]] = {
    "id": "5n7q9s1u3w5y7a9c1e3g",
    "code": "7KM4QX",
    "url": "https://cards.example.com/j/7KM4QX",
    "branch": "1z3b5d7f9h2k4m6p8r0t",
    "campaign": "Осень",
    "label": "Плакат у двери",
    "created_at": "2026-11-01T09:30:00Z",
    "closed_at": None,
}

OPERATIONS: Final = (
    Operation(
        id="readEnrolment",
        method="GET",
        path="/programmes/{slug}/enrolment",
        tag=_TAG,
        scope=Scope.ENROLMENT_READ,
        summary="Read how a programme takes people in",
        description="Whether the form is open and what it asks, and what is wanted of a phone.",
        handler=read_settings,
        answer=EnrolmentOut,
        answer_example=_SHOWN,
        path_parameters=_PROGRAMME,
    ),
    Operation(
        id="changeEnrolment",
        method="PUT",
        path="/programmes/{slug}/enrolment",
        tag=_TAG,
        scope=Scope.ENROLMENT_WRITE,
        summary="Change how a programme takes people in",
        description="As a whole: change what `GET` answered, `programme` and `join_url` aside, and "
        "send all of it. What is left out is named and nothing changes.",
        handler=change_settings,
        body=EnrolmentRules,
        body_example=_SETTINGS,
        answer=EnrolmentOut,
        answer_example=_SHOWN,
        problems=(Refused,),
        path_parameters=_PROGRAMME,
    ),
    Operation(
        id="listJoinSources",
        method="GET",
        path="/programmes/{slug}/join-sources",
        tag=_TAG,
        scope=Scope.ENROLMENT_READ,
        summary="List a programme's sources",
        description="Posters, campaigns and links, newest first, and what came of each.",
        handler=list_sources,
        answer=SourceList,
        answer_example={"items": [_SOURCE | {"applications": 41, "given_up": 3, "cards": 36}]},
        path_parameters=_PROGRAMME,
    ),
    Operation(
        id="createJoinSource",
        method="POST",
        path="/programmes/{slug}/join-sources",
        tag=_TAG,
        scope=Scope.ENROLMENT_WRITE,
        summary="Make a source",
        description="A short link of its own for a poster, a campaign or a post: who comes by it "
        "is counted to it, and to its branch.",
        handler=create_source,
        status=201,
        body=NewSource,
        body_example={
            "branch": "1z3b5d7f9h2k4m6p8r0t",
            "campaign": "Осень",
            "label": "Плакат у двери",
        },
        answer=SourceOut,
        answer_example=_SOURCE,
        key=KeyRule.OPTIONAL,
        path_parameters=_PROGRAMME,
    ),
    Operation(
        id="closeJoinSource",
        method="DELETE",
        path="/join-sources/{source_id}",
        tag=_TAG,
        scope=Scope.ENROLMENT_WRITE,
        summary="Close a source",
        description="Nobody is counted to it any more; its link leads to the form as ever.",
        handler=close_source,
        answer=SourceOut,
        answer_example=_SOURCE | {"closed_at": "2026-11-20T10:15:42Z"},
        path_parameters={"source_id": "The source's id, as making it answered."},
    ),
)
