"""The classes at Google: whether each template's is there, and usable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import text

from walletsvc.app import Installation
from walletsvc.cli.doctor.findings import Finding
from walletsvc.google.answers import explain
from walletsvc.google.client import ApiRequest, GoogleClient, class_path, printable
from walletsvc.google.models import Kind

_ABOUT: Final = "google class"
_CLASSES: Final = text("""
SELECT pr.slug AS programme, c.class_id, c.kind, c.digest IS NOT NULL AS sent, c.error
  FROM template_versions v
  JOIN pass_templates t ON t.id = v.template_id
  JOIN programmes pr ON pr.id = t.programme_id
  LEFT JOIN (google_classes c JOIN pass_types i ON i.id = c.pass_type_id
             AND i.identifier = :issuer_id) ON c.template_id = t.id
 WHERE v.state = 'published' ORDER BY pr.slug
""")
# Google spells constants as it likes: without underscores and in lower case they are the same.
_FAULTS: Final = {
    "rejected": "Google's reviewer rejected it: read why in the console, mend the template, publish"
    " it again (`walletsvc templates publish`). No card can be added until then.",
    "draft": "it is a draft, and cards cannot be made of one: publish the template again"
    " (`walletsvc templates publish`), which hands it in for review.",
}


def examine(installation: Installation, client: GoogleClient) -> Iterator[Finding]:
    """The class of every template with a published version."""
    values = {"issuer_id": installation.settings.google_issuer_id}
    with installation.database.read_tx() as session:
        rows = session.execute(_CLASSES, values).all()
    if not rows:
        yield Finding(_ABOUT, "no template is published yet")
    for row in rows:
        yield _of(row, client)


def _of(row: Any, client: GoogleClient) -> Finding:
    name = f"programme {row.programme}"
    if row.error:
        return Finding(
            _ABOUT,
            f"{name}: {row.error} Mend the template as Google says and publish it again"
            " (`walletsvc templates publish`).",
            problem=True,
        )
    if not row.sent:
        return Finding(_ABOUT, f"{name}: not sent yet; a worker does that within a minute.")
    answer = client.call(ApiRequest("GET", class_path(Kind(row.kind), row.class_id)))
    if answer.status == 404:
        return Finding(
            _ABOUT,
            f"{name}: Google does not have {row.class_id}, which it was given: the next card that"
            " is added or changes has it made anew. If another system works under this issuer, see"
            " what it does.",
            problem=True,
        )
    if not answer.ok:
        return Finding(_ABOUT, f"{name}: {explain(answer)}", problem=True)
    status = printable((answer.body or {}).get("reviewStatus") or "?")
    fault = _FAULTS.get(status.replace("_", "").lower())
    said = f"{name}: {status}"
    return Finding(_ABOUT, f"{said}: {fault}" if fault else said, problem=fault is not None)
