"""Registrations per second through HTTP, over the fifty that the product has to do.

A web process of Granian for each core, the database and eight clients on the same machine, and a
limit that is no measurement: fifty a second without an error. `registrations` is the till's way: a
code is asked for, read from the message that would be sent, told, and the member registered with
proof and both consents, so that a person, a phone, a card, an account, a pass, welcome points and
two messages are written. `registrations_form` is the customer's way: form, code page and code in a
browser, with a new connection for each. Both include the clients' own processor time. Any answer
but the right one stops the measurement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlmodel import Session

from bench import Result
from bench.books import Books, books
from bench.pass_get import family_seconds
from bench.purchase_http import api_key, web
from bench.registering import Crowd, Door, Phones, Till
from bench.selling import RULES
from walletsvc.core.actor import SYSTEM
from walletsvc.enrolment import settings
from walletsvc.messaging.kinds import Channel
from walletsvc.messaging.models import Gateway
from walletsvc.passes import templates
from walletsvc.passes.models import PassType
from walletsvc.people.consents.service import current_texts
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook

NAME = "registrations"

_SECONDS: Final = 20.0
_WARM_UP_SECONDS: Final = 3.0
_NEEDED: Final = 50.0
_NO_CEILING: Final = 10_000_000  # codes an hour of the programme: a shop has two thousand
_WELCOME: Final = {"events": {"registration": {"points": 100}}}
_ROOT: Final = Path(__file__).parent.parent


def run() -> dict[str, Result]:
    """Registrations per second, by the till and by the form."""
    return measure(_SECONDS)


def measure(seconds: float) -> dict[str, Result]:
    """The figures, each measured for so long."""
    with books() as found:
        texts = _open(found)
        secret, slug = api_key(found), found.programme.slug
        phones = Phones(found.installation.database)
        with web(found, codes_per_hour=_NO_CEILING) as (url, pid):
            clients: dict[str, Callable[[], Till | Door]] = {
                NAME: lambda: Till(url, secret, slug, texts, phones),
                f"{NAME}_form": lambda: Door(url, slug, phones),
            }
            return {
                name: _measured(name, Crowd(client), pid, seconds)
                for name, client in clients.items()
            }


def _measured(name: str, crowd: Crowd, pid: int, seconds: float) -> Result:
    crowd.register(_WARM_UP_SECONDS)
    started = family_seconds(pid)
    done = crowd.register(seconds)
    used = family_seconds(pid) - started
    print(
        f"  {name}: {done} in {seconds:.0f} s, 0 errors;"
        f" {used / max(done, 1) * 1000:.2f} ms of the web processes' processor time for each"
    )
    return Result(done / seconds, "registrations/s", _NEEDED)


def _open(found: Books) -> Mapping[str, str]:
    """A template for the passes, somebody to carry SMS, rules that welcome with points, a form
    that is open, texts to agree to: their public ids."""
    now = found.installation.clock()
    with found.installation.database.write_tx() as session:
        _template(session, found, now)
        session.add(
            Gateway(
                channel=Channel.SMS,
                kind="test",
                label="bench",
                config=json.dumps({"price_per_segment": 300, "currency": "RUB"}),
                created_at=now,
            )
        )
        book = RuleBook.model_validate(RULES | _WELCOME)
        versions.save_draft(session, found.programme, book, SYSTEM, "", now)
        versions.publish(session, found.programme, SYSTEM, now)
        rules = replace(settings.DEFAULTS, open=True)
        settings.change(session, found.programme, rules, actor=SYSTEM, now=now)
        texts = current_texts(session, found.organisation_id, now)
        return {purpose.value: text.public_id for purpose, text in texts.items()}


def _template(session: Session, found: Books, now: datetime) -> None:
    kind = PassType(
        identifier="pass.bench.club", team_identifier="BENCH00001", epoch=1, created_at=now
    )
    session.add(kind)
    session.flush()
    templates.publish(
        session,
        programme_id=found.programme.id,
        pass_type_id=kind.id,
        template=templates.load(_ROOT / "pass_templates" / "loyalty"),
        dialects=found.installation.publisher.dialects,
        now=now,
    )
