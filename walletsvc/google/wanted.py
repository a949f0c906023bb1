"""What Google should have at this moment, as the database knows it: classes and objects.

Objects say what was last published of their passes, never what is being published, so a sender
can tell by the revision what Google has. Whoever wants an object of a pass that was never
published publishes it first. Classes say what their template's published version and the shop
say now.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session

from walletsvc.google.issuer import ensure_class, ensure_issuer, object_id
from walletsvc.google.models import Kind
from walletsvc.google.pictures import addresses
from walletsvc.google.rendering.classes import Facts, class_body
from walletsvc.google.rendering.notices import NoticePlan
from walletsvc.google.rendering.objects import Named, ObjectPlan
from walletsvc.passes import content as contents
from walletsvc.passes.models import PassTemplate
from walletsvc.settings import LOOPBACK, Settings
from walletsvc.storage.columns import keyring

CALLBACK: Final = "/google/callback"

_OBJECTS: Final = text("""
SELECT p.id, p.template_id, p.pass_type_id, t.identifier, p.serial, p.revision, p.version_id,
       CAST(p.content AS text) AS content, p.published_at, v.digest AS version_digest,
       c.id AS google_class_id, c.class_id, o.object_id,
       coalesce(h.link_token, g.link_token) AS link_token
  FROM passes p
  JOIN pass_types t ON t.id = p.pass_type_id
  JOIN template_versions v ON v.id = p.version_id
  JOIN google_classes c ON c.template_id = p.template_id AND c.pass_type_id = p.pass_type_id
  LEFT JOIN google_objects o ON o.pass_id = p.id
  LEFT JOIN cards h ON h.id = p.card_id
  LEFT JOIN certificates g ON g.id = p.certificate_id
 WHERE p.id = ANY(:ids) AND p.wallet = 'google' AND p.revision > 0
""").bindparams(bindparam("ids", type_=ARRAY(BigInteger)))
_CLASSES: Final = text("""
SELECT v.id AS version_id, v.template_id, v.digest AS version_digest,
       o.name AS organisation, pr.name AS programme, pr.slug AS programme_slug, o.phone,
       o.website,
       ARRAY(SELECT DISTINCT kind FROM template_images i WHERE i.version_id = v.id) AS pictures
  FROM template_versions v
  JOIN pass_templates t ON t.id = v.template_id
  JOIN programmes pr ON pr.id = t.programme_id
  JOIN organisations o ON o.id = pr.organisation_id
 WHERE v.state = 'published'
 ORDER BY v.template_id
""")


@dataclass(frozen=True, slots=True)
class House:
    """What of the installation stands in every body; `emulated` when Google is a stand-in on this
    machine."""

    issuer_id: str
    base_url: str
    language: str
    emulated: bool = False

    @classmethod
    def of(cls, settings: Settings) -> House:
        """As the settings have it; the issuer id is '' where Google is not part of it."""
        return cls(
            settings.google_issuer_id,
            settings.base_url,
            settings.default_language,
            emulated=urlsplit(settings.google_url).hostname in LOOPBACK,
        )

    @property
    def callback_url(self) -> str | None:
        """Where Google reports what was saved and removed; None where it would not come: it takes
        https alone, its stand-in also the plain address of this machine."""
        heard = self.emulated or self.base_url.startswith("https://")
        return f"{self.base_url}{CALLBACK}" if heard else None


@dataclass(frozen=True, slots=True)
class WantedObject:
    """An object as Google should have it.

    `revision` is the pass's: of what was last published. `body` is complete, for an insert; a
    PATCH takes the same without id and classId, and its nulls take away what went. `values` is
    what of it is announced, by field key, and `notifies` the keys among all that Google
    announces itself when asked to (notifyPreference); the others need a message.
    """

    pass_id: int
    pass_type_id: int
    google_class_id: int
    object_id: str
    kind: Kind
    revision: int
    body: dict[str, Any]
    values: dict[str, Any]
    notifies: frozenset[str]
    notices: NoticePlan = field(repr=False, compare=False)

    def patch(self) -> dict[str, Any]:
        """The body of a PATCH."""
        return {name: value for name, value in self.body.items() if name not in ("id", "classId")}

    def buzzes(self, before: Mapping[str, Any]) -> bool:
        """Whether a PATCH has something to announce to who saw `before` (`sent_values`). A value
        that was not there is no change: a new template would be announced to everybody."""
        return any(
            key in before and key in self.values and before[key] != self.values[key]
            for key in self.notifies
        )

    def message(self, before: Mapping[str, Any]) -> dict[str, Any] | None:
        """Google's Message, without id and type, for what differs from `before` and is not
        announced by a PATCH; None when there is nothing of it."""
        return self.notices.message(before, self.values)


@dataclass(frozen=True, slots=True)
class WantedClass:
    """A class as Google should have it; `digest` tells one body from another."""

    google_class_id: int
    class_id: str
    kind: Kind
    version_id: int
    body: dict[str, Any]
    digest: bytes


def objects(session: Session, pass_ids: Sequence[int], house: House) -> dict[int, WantedObject]:
    """What Google should say of these passes, by pass id.

    Left out are passes that were never published, that are no Google passes, or whose class has
    no row yet (`issuer.ensure_object` makes it).
    """
    if not pass_ids:
        return {}
    rows = session.execute(_OBJECTS, {"ids": list(pass_ids)}).all()
    return {row.id: _object(session, row, house) for row in rows}


def _object(session: Session, row: Any, house: House) -> WantedObject:
    plan, notices = _plans(session, row, house.language)
    content = orjson.loads(row.content)
    called = row.object_id or object_id(row.identifier, row.serial)
    page = f"{house.base_url}/c/{keyring().decrypt(row.link_token)}"
    named = Named(called, row.class_id, row.serial, page)
    return WantedObject(
        pass_id=row.id,
        pass_type_id=row.pass_type_id,
        google_class_id=row.google_class_id,
        object_id=called,
        kind=plan.kind,
        revision=row.revision,
        body=plan.body(content, named, row.published_at),
        values=notices.values(content),
        notifies=notices.notifies,
        notices=notices,
    )


def classes(session: Session, house: House, now: datetime) -> list[WantedClass]:
    """The class of every template with a published version; rows are made where missing, so
    this takes a transaction that writes. The sender sends those whose digest differs."""
    issuer = ensure_issuer(session, house.issuer_id, now)
    found = []
    for row in session.execute(_CLASSES).all():
        template = session.get_one(PassTemplate, row.template_id)
        known = ensure_class(session, template, issuer, now)
        facts = Facts(
            organisation=row.organisation,
            programme=row.programme,
            phone=row.phone,
            website=row.website,
            terms_url=f"{house.base_url}/terms/{row.programme_slug}",
            pictures=addresses(house.base_url, row.version_digest, row.pictures),
            callback_url=house.callback_url,
        )
        description = _plans(session, row, house.language)[0].layout.description
        body = class_body(description, known.class_id, facts, house.language)
        packed = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(packed).digest()
        found.append(
            WantedClass(known.id, known.class_id, known.kind, row.version_id, body, digest)
        )
    return found


# By the version's digest, not its id: what is found can never be another database's.
_PLANS: Final[dict[tuple[bytes, str], tuple[ObjectPlan, NoticePlan]]] = {}
_PLANS_LOCK: Final = threading.Lock()


def _plans(session: Session, row: Any, language: str) -> tuple[ObjectPlan, NoticePlan]:
    key = bytes(row.version_digest), language
    found = _PLANS.get(key)
    if found is None:
        description = contents.description(session, row.version_id)
        found = ObjectPlan(description, language), NoticePlan(description, language)
        with _PLANS_LOCK:
            if len(_PLANS) >= 256:  # versions of years ago need no place
                _PLANS.clear()
            _PLANS[key] = found
    return found
