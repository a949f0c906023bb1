"""Whether what a rule book names exists and is the programme's to name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlmodel import Session, col, or_, select

from walletsvc.core.errors import FieldError, InputError
from walletsvc.merchants.models import Acceptance, Branch, BranchGroup, Organisation
from walletsvc.programmes.models import Programme
from walletsvc.programmes.rulebook.schemas import RuleBook


def require(session: Session, programme: Programme, book: RuleBook) -> None:
    """Raises InputError naming every field that holds something else than what it may.

    Organisations are the programme's own and those that accept its points; branches are theirs;
    groups of branches are the programme's own organisation's.
    """
    wrong = list(_wrong(session, programme, book))
    if wrong:
        first = wrong[0]
        more = f" There are {len(wrong) - 1} more mistakes." if len(wrong) > 1 else ""
        raise InputError(f"{first.field}: {first.message}.{more}", tuple(wrong))


def require_branches(
    session: Session, programme: Programme, field: str, named: Sequence[str]
) -> None:
    """Raises InputError naming every branch (public id) that the programme's rules may not name."""
    known = _branches(session, _partners(session, programme), set(named))
    wrong = list(_unknown(field, named, known, "branch"))
    if wrong:
        raise InputError(f"{wrong[0].field}: {wrong[0].message}.", tuple(wrong))


@contextmanager
def inside(field: str) -> Iterator[None]:
    """Errors of a book that came as the field of something larger name their fields from there."""
    try:
        yield
    except InputError as error:
        fields = tuple(replace(each, field=f"{field}.{each.field}") for each in error.fields)
        raise InputError(f"{field}.{error.detail}", fields) from None


def _wrong(session: Session, programme: Programme, book: RuleBook) -> Iterator[FieldError]:
    partners = _partners(session, programme)
    base = book.tier_base.organisations
    yield from _unknown("tier_base.organisations", base, partners.values(), "organisation")
    conditions = [promotion.when for promotion in book.promotions]
    branches = _branches(
        session, partners, {id_ for when in conditions for id_ in when.branches or ()}
    )
    groups = _groups(session, programme, any(when.branch_groups for when in conditions))
    for number, when in enumerate(conditions):
        place = f"promotions.{number}.when"
        named = when.organisations
        yield from _unknown(f"{place}.organisations", named, partners.values(), "organisation")
        yield from _unknown(f"{place}.branches", when.branches, branches, "branch")
        yield from _unknown(f"{place}.branch_groups", when.branch_groups, groups, "branch group")


def _unknown(
    place: str, named: Iterable[str] | None, known: Iterable[str], what: str
) -> Iterator[FieldError]:
    there = set(known)
    for index, name in enumerate(named or ()):
        if name not in there:
            message = f"there is no {what} '{name}' that these rules may name"
            yield FieldError(f"{place}.{index}", message, "unknown")


def _partners(session: Session, programme: Programme) -> dict[int, str]:
    """The slugs of the programme's own organisation and of those that accept its points."""
    accepting = select(Acceptance.acceptor_id).where(
        Acceptance.issuer_id == programme.organisation_id, col(Acceptance.points)
    )
    own = col(Organisation.id) == programme.organisation_id
    rows = session.exec(
        select(Organisation.id, Organisation.slug).where(
            or_(own, col(Organisation.id).in_(accepting))
        )
    )
    return dict(rows.all())


def _branches(session: Session, partners: Iterable[int], named: set[str]) -> set[str]:
    if not named:
        return set()
    found = select(Branch.public_id).where(
        col(Branch.public_id).in_(named), col(Branch.organisation_id).in_(list(partners))
    )
    return set(session.exec(found))


def _groups(session: Session, programme: Programme, wanted: bool) -> set[str]:
    if not wanted:
        return set()
    own = BranchGroup.organisation_id == programme.organisation_id
    return set(session.exec(select(BranchGroup.slug).where(own)))
