"""Whether a rule book fits its programme: what it names exists, what it gives can be counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from sqlmodel import Session, col, or_, select

from walletsvc.core.errors import FieldError, InputError
from walletsvc.merchants.models import Acceptance, Branch, BranchGroup, Organisation
from walletsvc.programmes.models import Programme, ProgrammeKind
from walletsvc.programmes.rulebook.schemas import Events, RuleBook


def require(session: Session, programme: Programme, book: RuleBook) -> None:
    """Raises InputError naming every field that holds something else than what it may.

    Organisations are the programme's own and those that accept its points; branches are theirs;
    groups of branches are the programme's own organisation's. A book gives nothing that the
    programme does not count: a discount card no points, a points card no stamps.
    """
    wrong = [*_uncountable(programme.kind, book), *_wrong(session, programme, book)]
    if wrong:
        first = wrong[0]
        more = f" There are {len(wrong) - 1} more mistakes." if len(wrong) > 1 else ""
        raise InputError(f"{first.field}: {first.message}.{more}", tuple(wrong))


# What else than discounts programmes of a kind can count.
_COUNTED: Final = {
    ProgrammeKind.POINTS: frozenset({"percent", "multiplier", "fixed", "fixed_per_item"}),
    ProgrammeKind.STAMPS: frozenset({"stamps"}),
    ProgrammeKind.DISCOUNT: frozenset[str](),
}


def _uncountable(kind: ProgrammeKind, book: RuleBook) -> Iterator[FieldError]:
    if kind is not ProgrammeKind.POINTS:
        yield from _events(kind, book.events)
    counted = _COUNTED.get(kind)
    if counted is None:
        return
    if kind is not ProgrammeKind.POINTS:
        percents = {"earn.percent": book.earn.percent}
        by_tier = book.earn.percent_by_tier or {}
        percents |= {f"earn.percent_by_tier.{code}": percent for code, percent in by_tier.items()}
        for field, percent in percents.items():
            if percent:
                yield _refused(field, f"must be 0: a {kind} programme counts no points")
        if book.spend.max_share_percent:
            message = f"must be 0: a {kind} programme counts no points"
            yield _refused("spend.max_share_percent", message)
    if kind is not ProgrammeKind.STAMPS and book.stamp_card is not None:
        yield _refused("stamp_card", "is for programmes of stamps only")
    for number, promotion in enumerate(book.promotions):
        effect = promotion.effect.kind
        if effect != "discount" and effect not in counted:
            message = f"'{effect}' is nothing that a {kind} programme counts"
            yield _refused(f"promotions.{number}.effect.kind", message)


def _events(kind: ProgrammeKind, events: Events) -> Iterator[FieldError]:
    """What is given without a purchase is points, whatever the event is."""
    gifts = {"events.registration": events.registration, "events.birthday": events.birthday}
    gifts |= {f"events.manual.{name}": gift for name, gift in events.manual.items()}
    for field, gift in gifts.items():
        if gift is not None:
            yield _refused(field, f"gives points, and a {kind} programme counts no points")


def _refused(field: str, message: str) -> FieldError:
    return FieldError(field, message, "not_allowed")


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
