"""Programmes and versions of rules, made once for all sales that read the same of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlmodel import Session

from walletsvc.programmes.models import (
    CodePolicy,
    Programme,
    ProgrammeKind,
    RuleState,
    RuleVersion,
)
from walletsvc.programmes.versions import book_of, known_book


@lru_cache(maxsize=256)
def programme(
    id_: int,
    organisation_id: int,
    slug: str,
    kind: str,
    code_policy: str,
    name: str,
    currency: str,
    unit_id: int,
    time_zone: str,
    closed_at: datetime | None,
) -> Programme:
    """A programme with just these values, no session's; one for all that read the same."""
    return Programme(
        id=id_,
        organisation_id=organisation_id,
        slug=slug,
        kind=ProgrammeKind(kind),
        code_policy=CodePolicy(code_policy),
        name=name,
        currency=currency,
        unit_id=unit_id,
        time_zone=time_zone,
        closed_at=closed_at,
    )


def version(
    session: Session, programme_id: int, row: Mapping[str, Any] | None, current: str | None
) -> RuleVersion | None:
    """The version; its book is read once per process."""
    if row is None:
        return None
    public_id = row["public_id"]
    if known_book(public_id) is None:
        book_of(session.get_one(RuleVersion, row["id"]))
    return _known_version(row["id"], public_id, programme_id, row["number"], public_id == current)


@lru_cache(maxsize=256)
def _known_version(
    id_: int, public_id: str, programme_id: int, number: int, published: bool
) -> RuleVersion:
    """A version without its book, no session's."""
    return RuleVersion(
        id=id_,
        public_id=public_id,
        programme_id=programme_id,
        number=number,
        state=RuleState.PUBLISHED if published else RuleState.RETIRED,
        book={},
        actor="",
    )
