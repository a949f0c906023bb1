"""Posters of the places where people meet the form."""

from __future__ import annotations

from base64 import b64encode
from typing import Final, Literal

from pydantic import Field

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, Operation
from walletsvc.api.schemas import Input, Output
from walletsvc.enrolment import sources
from walletsvc.enrolment.posters import service
from walletsvc.enrolment.posters.drawing import Size


class PosterQuery(Input):
    """Which poster."""

    size: Literal["a4", "a5", "a6"] = Field("a4", description="The paper, upright.")
    language: Literal["ru", "en"] = Field("ru", description="The language of its words.")


class PosterOut(Output):
    """A poster ready to be printed."""

    file_name: str
    pdf: str = Field(description="The PDF file, in base64.")


def read_poster(call: Call) -> PosterOut:
    """Draw it."""
    query: PosterQuery = call.query
    source = sources.find(call.session, call.key.organisation_id, call.path["source_id"])
    pdf = service.poster(
        call.session,
        source,
        base_url=call.deps.settings.base_url,
        language=query.language,
        size=Size(query.size),
        now=call.now,
    )
    name = f"poster-{source.code}-{query.size}-{query.language}.pdf"
    return PosterOut(file_name=name, pdf=b64encode(pdf).decode())


OPERATIONS: Final = (
    Operation(
        id="readPoster",
        method="GET",
        path="/join-sources/{source_id}/poster",
        tag="Enrolment",
        scope=Scope.RULES_READ,
        summary="Get a source's poster",
        description="A PDF to print: the card's own colours and logo, a code that leads to the "
        "form, three steps, and the short link in letters.",
        handler=read_poster,
        query=PosterQuery,
        answer=PosterOut,
        answer_example={"file_name": "poster-7KQ4M2-a4-ru.pdf", "pdf": "JVBERi0xLjcK"},
        path_parameters={"source_id": "The source's id, as making it answered."},
    ),
)
