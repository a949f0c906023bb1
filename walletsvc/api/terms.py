"""Programmes' terms: what counts, former versions, publishing."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, Operation
from walletsvc.api.rules import PROGRAMME_PATH, before_version, own_programme, version_in_path
from walletsvc.api.schemas import Input, Moment, Output, Page
from walletsvc.programmes.terms import service
from walletsvc.programmes.terms.models import TermsVersion


class TermsTexts(Input):
    """A text in each language there is; without one, readers of it see the other."""

    ru: str | None = Field(None, max_length=service.BODY_LENGTH)
    en: str | None = Field(None, max_length=service.BODY_LENGTH)

    def given(self) -> dict[str, str]:
        """Those that are there."""
        return {k: v for k, v in (("ru", self.ru), ("en", self.en)) if v is not None}


class NewTerms(Input):
    """Terms to be published."""

    title: TermsTexts
    body: TermsTexts = Field(
        description="Plain text: a blank line ends a paragraph, `# ` begins a heading, lines "
        "with `- ` are a list."
    )


class TermsOut(Output):
    """One version of the terms."""

    number: int
    title: dict[str, str]
    body: dict[str, str]
    actor: str = Field(description="Who published it: kind and public id.")
    published_at: Moment
    url: str = Field(description="The page of this version.")


class TermsList(Output):
    """Versions, the newest first: the first one counts."""

    items: list[TermsOut]
    url: str = Field(
        description="The page of the terms that count. Where none were published it shows what "
        "follows from the rules."
    )
    next_cursor: str | None = Field(description="Null on the last piece.")


def publish(call: Call) -> TermsOut:
    """Make a text the terms."""
    body: NewTerms = call.body
    done = service.publish(
        call.session,
        own_programme(call),
        title=body.title.given(),
        body=body.body.given(),
        actor=call.actor,
        now=call.now,
    )
    return _told(call, done)


def list_all(call: Call) -> TermsList:
    """The versions."""
    query: Page = call.query
    programme = own_programme(call)
    before = before_version(query)
    found = service.list_versions(call.session, programme, before=before, limit=query.limit + 1)
    shown = found[: query.limit]
    return TermsList(
        items=[_told(call, version) for version in shown],
        url=_page(call),
        next_cursor=str(shown[-1].number) if len(found) > query.limit else None,
    )


def read_version(call: Call) -> TermsOut:
    """One version."""
    return _told(call, service.get(call.session, own_programme(call), version_in_path(call)))


def _page(call: Call) -> str:
    return f"{call.deps.settings.base_url}/terms/{call.path['slug']}"


def _told(call: Call, version: TermsVersion) -> TermsOut:
    told = {n: getattr(version, n) for n in ("number", "title", "body", "actor", "published_at")}
    return TermsOut(**told, url=f"{_page(call)}?version={version.number}")


_BODY: Final[dict[str, Any]] = {
    "title": {"ru": "Условия клуба", "en": "Terms of the club"},
    "body": {
        "ru": "# Как копить\n\nС каждой покупки возвращается 5 %.",
        "en": "# Earning\n\n5% of every purchase comes back.",
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "number": 2,
    **_BODY,
    "actor": "api-key:7c1m4p8r2t6v9x3z5b0d",
    "published_at": "2026-11-20T09:30:00Z",
    "url": "https://cards.example.com/terms/coffee?version=2",
}

OPERATIONS: Final = (
    Operation(
        id="listTerms",
        method="GET",
        path="/programmes/{slug}/terms",
        tag="Terms",
        scope=Scope.RULES_READ,
        summary="List the versions of the terms",
        description="Every version that customers could have read, the newest first.",
        handler=list_all,
        query=Page,
        answer=TermsList,
        answer_example={
            "items": [_ANSWER],
            "url": "https://cards.example.com/terms/coffee",
            "next_cursor": None,
        },
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="publishTerms",
        method="POST",
        path="/programmes/{slug}/terms",
        tag="Terms",
        scope=Scope.RULES_WRITE,
        summary="Publish terms",
        description="Makes a text the terms from now on; former versions keep their pages. The "
        "same text again changes nothing and is answered with the version there is.",
        handler=publish,
        status=201,
        body=NewTerms,
        body_example=_BODY,
        answer=TermsOut,
        answer_example=_ANSWER,
        path_parameters=PROGRAMME_PATH,
    ),
    Operation(
        id="readTerms",
        method="GET",
        path="/programmes/{slug}/terms/{number}",
        tag="Terms",
        scope=Scope.RULES_READ,
        summary="Read a version of the terms",
        description="Titles and texts in all languages it was published in.",
        handler=read_version,
        answer=TermsOut,
        answer_example=_ANSWER,
        path_parameters={**PROGRAMME_PATH, "number": "The version's number."},
    ),
)
