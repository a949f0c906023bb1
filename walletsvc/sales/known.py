"""Programmes and versions of rules, made once for all sales that read the same of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlmodel import Session

from walletsvc.programmes.models import (
    CodePolicy,
    Programme,
    ProgrammeKind,
    RuleState,
    RuleVersion,
)

# Versions by public id, which can never be another database's, and whether they are published.
_VERSIONS: Final[dict[tuple[str, bool], RuleVersion]] = {}
_VERSIONS_LOCK: Final = threading.Lock()
_MOST: Final = 256


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
    """The version with its book, read once per process, no session's. It is whole: whoever holds
    it goes on by its book, also when others push that out of what the process knows."""
    if row is None:
        return None
    public_id = row["public_id"]
    published = public_id == current
    found = _VERSIONS.get((public_id, published))
    if found is None:
        found = RuleVersion(
            id=row["id"],
            public_id=public_id,
            programme_id=programme_id,
            number=row["number"],
            state=RuleState.PUBLISHED if published else RuleState.RETIRED,
            book=session.get_one(RuleVersion, row["id"]).book,
            actor="",
        )
        with _VERSIONS_LOCK:
            while len(_VERSIONS) >= _MOST:
                del _VERSIONS[next(iter(_VERSIONS))]  # the one that was read first
            _VERSIONS[public_id, published] = found
    return found
