"""Rows that stand for things at Google: the issuer, a template's class, a pass's object.

Each is made when it is first needed, and whoever comes second finds it. Ids are ours to choose
and never change; what stands behind the issuer's number is random, so that two installations
under one issuer cannot write over each other's.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.core.ids import public_id
from walletsvc.google.models import GoogleClass, GoogleIssuer, GoogleObject, IssuerState, Kind
from walletsvc.google.rendering.layout import KINDS
from walletsvc.passes.models import Pass, PassTemplate, PassType, TemplateVersion, Wallet
from walletsvc.passes.schemas import Style
from walletsvc.programmes.models import Programme

# The classes of the issuer `:issuer_id`, as part of a statement. What is left of an issuer that the
# setting named before is no concern of those who look how things stand: nothing is sent for it.
OUR_CLASSES: Final = (
    "SELECT c.id FROM google_classes c JOIN pass_types t ON t.id = c.pass_type_id"
    " WHERE t.wallet = 'google' AND t.identifier = :issuer_id"
)
# Google's other issuers are few, mostly none; only their objects are counted.
_FORMER: Final = text(
    "SELECT t.identifier, count(*) AS objects FROM pass_types t"
    " JOIN google_classes c ON c.pass_type_id = t.id"
    " JOIN google_objects o ON o.google_class_id = c.id"
    " WHERE t.wallet = 'google' AND t.identifier <> :issuer_id"
    " GROUP BY t.identifier ORDER BY t.identifier"
)
_FORMER_NAMES: Final = text(
    "SELECT t.identifier FROM pass_types t"
    " WHERE t.wallet = 'google' AND t.identifier <> :issuer_id"
    "   AND EXISTS (SELECT FROM google_classes c JOIN google_objects o"
    "     ON o.google_class_id = c.id WHERE c.pass_type_id = t.id)"
    " ORDER BY t.identifier"
)
_SUFFIX: Final = 8  # of a class id, behind the programme's name: enough to tell installations apart


def ensure_issuer(session: Session, issuer_id: str, now: datetime) -> PassType:
    """The pass type of the issuer id, with its limiter and breaker."""
    known = find_issuer(session, issuer_id)
    if known is not None:
        return known
    session.execute(
        insert(PassType)
        .values(
            wallet=Wallet.GOOGLE,
            identifier=issuer_id,
            team_identifier="",
            epoch=int(now.timestamp()),
            counter=0,
            generation=0,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["identifier"])
    )
    found = find_issuer(session, issuer_id)
    if found is None:
        raise ValueError("the issuer id is the identifier of another wallet's pass type")
    session.execute(
        insert(GoogleIssuer)
        .values(
            pass_type_id=found.id,
            free_at=now,
            state=IssuerState.OPEN,
            reason="",
            failures=0,
            since=now,
        )
        .on_conflict_do_nothing(index_elements=["pass_type_id"])
    )
    return found


def find_issuer(session: Session, issuer_id: str) -> PassType | None:
    """The pass type of the issuer id; None while nothing has been issued under it."""
    return session.exec(
        select(PassType).where(PassType.identifier == issuer_id, PassType.wallet == Wallet.GOOGLE)
    ).first()


def former_issuers(session: Session, issuer_id: str) -> dict[str, int]:
    """How many objects there are under each other issuer, by its id: the setting was changed, and
    nothing is sent for them any more."""
    found = session.execute(_FORMER, {"issuer_id": issuer_id})
    return {row.identifier: int(row.objects) for row in found}


def names_of_former(session: Session, issuer_id: str) -> list[str]:
    """The ids of `former_issuers`, without counting: for who asks every few seconds."""
    return list(session.execute(_FORMER_NAMES, {"issuer_id": issuer_id}).scalars())


def ensure_class(
    session: Session, template: PassTemplate, issuer: PassType, now: datetime
) -> GoogleClass:
    """The row of a template's class. Google may not have the class yet."""
    wanted = (
        GoogleClass.template_id == template.id,
        GoogleClass.pass_type_id == issuer.id,
    )
    found = session.exec(select(GoogleClass).where(*wanted)).first()
    if found is not None:
        return found
    programme = session.get_one(Programme, template.programme_id)
    session.execute(
        insert(GoogleClass)
        .values(
            template_id=template.id,
            pass_type_id=issuer.id,
            kind=_kind(session, template),
            class_id=f"{issuer.identifier}.{programme.slug}-{public_id()[:_SUFFIX]}",
            review_status="",
            attempts=0,
            error="",
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["template_id", "pass_type_id"])
    )
    return session.exec(select(GoogleClass).where(*wanted)).one()


def ensure_object(session: Session, pass_: Pass, now: datetime) -> GoogleObject:
    """The row of a Google pass's object, with its class's. Nothing is due by it: whoever makes
    it inserts the object."""
    found = session.get(GoogleObject, pass_.id)
    if found is not None:
        return found
    issuer = session.get_one(PassType, pass_.pass_type_id)
    template = session.get_one(PassTemplate, pass_.template_id)
    parent = ensure_class(session, template, issuer, now)
    session.execute(
        insert(GoogleObject)
        .values(
            pass_id=pass_.id,
            google_class_id=parent.id,
            object_id=object_id(issuer.identifier, pass_.serial),
            has_users=False,
            sent_revision=0,
            sent_values={},
            messages=0,
            lane=0,
            attempts=0,
            error="",
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["pass_id"])
    )
    return session.get_one(GoogleObject, pass_.id)


def object_id(issuer_id: str, serial: str) -> str:
    """What Google calls the object of the pass with this serial number."""
    return f"{issuer_id}.{serial}"


def _kind(session: Session, template: PassTemplate) -> Kind:
    """The style of a template never changes: it fits its programme."""
    described = session.exec(
        select(TemplateVersion.description)
        .where(TemplateVersion.template_id == template.id)
        .order_by(col(TemplateVersion.number).desc())
        .limit(1)
    ).one()
    return KINDS[Style(described["style"])]
