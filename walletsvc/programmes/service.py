"""Founding and finding programmes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.errors import Conflict, FieldError, InputError, NotFound
from walletsvc.core.ids import public_id
from walletsvc.ledger.models import Unit, UnitKind
from walletsvc.ledger.service import ensure_unit
from walletsvc.merchants.rules import check_slug, check_text, check_time_zone
from walletsvc.programmes.models import CodePolicy, Programme, ProgrammeKind
from walletsvc.storage.rows import Read

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
MONEY_SCALE: Final = 2


def create_points_programme(
    session: Session,
    *,
    organisation_id: int,
    slug: str,
    name: str,
    currency: str = "RUB",
    scale: int = 0,
    time_zone: str = "Europe/Moscow",
    now: datetime,
) -> Programme:
    """A programme that counts points of its own, with `scale` (0 or 2) decimals.

    Raises InputError naming the field, or Conflict when the slug is taken.
    """
    if scale not in (0, 2):
        raise InputError(
            "scale: must be 0 or 2.", (FieldError("scale", "must be 0 or 2", "not_allowed"),)
        )
    _check(slug, currency)
    unit = ensure_unit(session, code=f"points:{slug}", kind=UnitKind.POINTS, scale=scale)
    return _create(
        session, organisation_id, ProgrammeKind.POINTS, unit, slug, name, currency, time_zone, now
    )


def create_gift_programme(
    session: Session,
    *,
    organisation_id: int,
    slug: str,
    name: str,
    currency: str = "RUB",
    time_zone: str = "Europe/Moscow",
    now: datetime,
) -> Programme:
    """A programme of gift certificates, which count money.

    Raises InputError naming the field, or Conflict when the slug is taken.
    """
    _check(slug, currency)
    unit = ensure_unit(session, code=currency, kind=UnitKind.CURRENCY, scale=MONEY_SCALE)
    return _create(
        session, organisation_id, ProgrammeKind.GIFT, unit, slug, name, currency, time_zone, now
    )


def create_stamps_programme(
    session: Session,
    *,
    organisation_id: int,
    slug: str,
    name: str,
    currency: str = "RUB",
    time_zone: str = "Europe/Moscow",
    now: datetime,
) -> Programme:
    """A programme whose cards collect whole stamps.

    Raises InputError naming the field, or Conflict when the slug is taken.
    """
    _check(slug, currency)
    unit = ensure_unit(session, code=f"stamps:{slug}", kind=UnitKind.POINTS, scale=0)
    return _create(
        session, organisation_id, ProgrammeKind.STAMPS, unit, slug, name, currency, time_zone, now
    )


def create_discount_programme(
    session: Session,
    *,
    organisation_id: int,
    slug: str,
    name: str,
    currency: str = "RUB",
    time_zone: str = "Europe/Moscow",
    now: datetime,
) -> Programme:
    """A programme that takes money off the bill; the accounts of its cards stay empty.

    Raises InputError naming the field, or Conflict when the slug is taken.
    """
    _check(slug, currency)
    unit = ensure_unit(session, code=f"discount:{slug}", kind=UnitKind.POINTS, scale=0)
    return _create(
        session, organisation_id, ProgrammeKind.DISCOUNT, unit, slug, name, currency, time_zone, now
    )


_BY_SLUG: Final = Read(Programme, "WHERE slug = :slug AND organisation_id = :organisation")


def find_programme(session: Session, organisation_id: int, slug: str) -> Programme:
    """The organisation's programme with this slug; raises NotFound."""
    found = _BY_SLUG.first(session, slug=slug, organisation=organisation_id)
    if found is None:
        raise NotFound(f"There is no programme '{slug}'.")
    return found


def list_programmes(
    session: Session, organisation_id: int, *, after: int = 0, limit: int = 50
) -> list[Programme]:
    """The organisation's programmes, the oldest first, those founded after the one named."""
    wanted = select(Programme).where(
        Programme.organisation_id == organisation_id, col(Programme.id) > after
    )
    return list(session.exec(wanted.order_by(col(Programme.id)).limit(limit)))


def _check(slug: str, currency: str) -> None:
    check_slug(slug)
    if not _CURRENCY.fullmatch(currency):
        message = "must be a currency code of three capital letters, such as RUB"
        raise InputError(
            f"currency: {message}.", (FieldError("currency", message, "invalid_format"),)
        )


def _create(
    session: Session,
    organisation_id: int,
    kind: ProgrammeKind,
    unit: Unit,
    slug: str,
    name: str,
    currency: str,
    time_zone: str,
    now: datetime,
) -> Programme:
    created = session.execute(
        insert(Programme)
        .values(
            public_id=public_id(),
            organisation_id=organisation_id,
            slug=slug,
            kind=kind,
            name=check_text("name", name, 80),
            currency=currency,
            unit_id=unit.id,
            time_zone=check_time_zone(time_zone),
            debt_limit=0,
            code_policy=CodePolicy.STATIC,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(col(Programme.id))
    ).scalar()
    if created is None:
        raise Conflict(f"There is a programme '{slug}' already.")
    return session.get_one(Programme, created)


def points_zones(session: Session) -> dict[int, str]:
    """In which time zone the points of each unit end, by the unit's id."""
    rows = session.exec(
        select(Programme.unit_id, Programme.time_zone).where(Programme.kind != ProgrammeKind.GIFT)
    )
    return dict(rows.all())
