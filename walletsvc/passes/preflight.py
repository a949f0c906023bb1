"""Pre-flight: everything that can be known to be wrong with a template before a phone sees it.

The checks here and in `template_checks` hold for every wallet; each dialect adds the limits of
its own. Publishing runs it and refuses errors, so nobody can go around it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

from walletsvc.ledger.models import Unit
from walletsvc.merchants.models import Organisation
from walletsvc.passes import images, template_checks
from walletsvc.passes.findings import LAYOUT, Finding, Severity, note
from walletsvc.passes.folder import LoadedTemplate
from walletsvc.passes.models import PassTemplate, TemplateImage, TemplateVersion
from walletsvc.passes.protocol import Candidate, Dialect
from walletsvc.passes.samples import Issuer
from walletsvc.passes.schemas import Description
from walletsvc.programmes.models import Programme

_ORDER: Final = tuple(Severity)
_SOMEBODY: Final = Issuer()
_UNIMAGINABLE: Final = frozenset({"placeholder", "text-missing"})


def examine(
    candidate: Candidate,
    dialects: Iterable[Dialect],
    *,
    session: Session | None = None,
    now: datetime,
) -> list[Finding]:
    """All findings, errors first. With a session also what the database knows: certificates."""
    found = _neutral(candidate.description)
    # A pass that cannot even be imagined is not looked at further.
    if not any(finding.code in _UNIMAGINABLE for finding in found):
        found += _never_shown(candidate)
        for dialect in dialects:
            found += dialect.preflight(candidate, session=session, now=now)
    return sorted(dict.fromkeys(found), key=lambda finding: _ORDER.index(finding.severity))


def candidate_of(
    template: LoadedTemplate, issuer: Issuer = _SOMEBODY, pass_type_id: int | None = None
) -> Candidate:
    """A template that is nobody's yet."""
    return Candidate(template.description, template.pictures, issuer, pass_type_id)


def candidate_for(
    session: Session, template: LoadedTemplate, *, programme_id: int, pass_type_id: int
) -> Candidate:
    """A template on its way to a programme: names and currency are the programme's."""
    return candidate_of(template, _issuer(session, programme_id), pass_type_id)


def published(session: Session, version: TemplateVersion) -> Candidate:
    """A version as it lies in the database, with the images that its passes get."""
    parent = session.get_one(PassTemplate, version.template_id)
    described = Description.model_validate(version.description)
    pictures: dict[str, dict[int, bytes]] = {}
    for row in session.exec(
        select(TemplateImage)
        .where(TemplateImage.version_id == version.id, col(TemplateImage.density) > 0)
        .order_by(col(TemplateImage.kind), col(TemplateImage.density))
    ):
        if images.is_readable(row.png):  # what cannot be read is as good as missing
            pictures.setdefault(row.kind, {})[row.density] = row.png
    issuer = _issuer(session, parent.programme_id)
    return Candidate(described, pictures, issuer, parent.pass_type_id)


def _issuer(session: Session, programme_id: int) -> Issuer:
    programme = session.get_one(Programme, programme_id)
    organisation = session.get_one(Organisation, programme.organisation_id)
    return Issuer(
        organisation=organisation.name,
        programme=programme.name,
        phone=organisation.phone,
        website=organisation.website,
        currency=programme.currency,
        time_zone=programme.time_zone,
        scale=session.get_one(Unit, programme.unit_id).scale,
        code_policy=programme.code_policy,
    )


def _neutral(described: Description) -> list[Finding]:
    layout = described.model_dump(mode="json", exclude={"texts"})
    found = template_checks.layout_findings(layout)
    for language, texts in described.texts.items():
        found += template_checks.text_findings(layout, language, texts)
    return found + template_checks.language_findings(described.texts)


def _never_shown(candidate: Candidate) -> list[Finding]:
    """Fields that no card would have, because the shop lacks what they show."""
    shown = {key for sample in candidate.samples for key in sample.shown}
    return [
        note("never-shown", LAYOUT, path, f"is never shown: the shop has nothing for {spec.value}")
        for path, spec in candidate.description.fields.placed()
        if spec.key not in shown
    ]
