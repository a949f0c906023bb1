"""Registrations per second through HTTP, over `pgbench` (TPC-B-like) on the same server.

A web process of Granian for each core; eight tills that each register one customer after another:
a code is asked for, read from the message that would be sent, told, and the member registered with
proof and both consents, so that a person, a phone, a card, an account, a pass and three messages
are written. `pgbench` has eight clients, prepared statements and the same cores. The product has
to do fifty a second without an error; any other answer than the right one stops the measurement.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from bench import Result
from bench.books import Books, books
from bench.pass_get import family_seconds
from bench.purchase_http import api_key, pgbench, web
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Gateway, Message
from walletsvc.passes import templates
from walletsvc.passes.models import PassType
from walletsvc.people.consents.service import current_texts

NAME = "registrations"

_CLIENTS: Final = 8
_SECONDS: Final = 10.0
_WARM_UP_SECONDS: Final = 2.0
_NEEDED: Final = 50.0
_ROOT: Final = Path(__file__).parent.parent
_CODE: Final = re.compile(r"\b\d{6}\b")


def run() -> Result:
    """Registrations per second and what `pgbench` makes of the same machine."""
    return measure(_SECONDS)


def measure(seconds: float) -> Result:
    """The figure, each part measured for so long."""
    with books() as found:
        texts = _open(found)
        secret = api_key(found)
        limits = [pgbench(found, seconds, prepare=True)]
        with web(found, codes_per_hour=10_000_000) as (url, pid):
            tills = _Tills(found, url, secret, texts)
            tills.register(_WARM_UP_SECONDS)
            started = family_seconds(pid)
            counts = [tills.register(seconds)]
            limits.append(pgbench(found, seconds))
            counts.append(tills.register(seconds))
            used = family_seconds(pid) - started
    rates = [count_ / seconds for count_ in counts]
    print(
        f"  registrations/s {rates[0]:.0f}, {rates[1]:.0f} (needed: {_NEEDED:.0f}); pgbench"
        f" {limits[0]:.0f}, {limits[1]:.0f}; {used / sum(counts) * 1000:.2f} ms of the web"
        " processes' processor time for each"
    )
    return Result(sum(rates) / len(rates), "registrations/s", sum(limits) / len(limits))


def _open(found: Books) -> Mapping[str, str]:
    """A template for the passes, somebody to carry SMS, texts to agree to: their public ids."""
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


class _Tills:
    """Clients that keep their connection and each wait for their answer."""

    def __init__(self, found: Books, url: str, secret: str, texts: Mapping[str, str]) -> None:
        self._database = found.installation.database
        self._programme = found.programme.slug
        self._host = urlsplit(url).netloc
        self._secret = secret
        self._texts = texts
        self._numbers = count(1)

    def register(self, seconds: float) -> int:
        """How many members were registered in so long; raises when one is not."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(_CLIENTS) as pool:
            return sum(pool.map(self._till, [until] * _CLIENTS))

    def _till(self, until: float) -> int:
        connection, done = http.client.HTTPConnection(self._host, timeout=30), 0
        while time.monotonic() < until:
            self._one(connection, next(self._numbers))
            done += time.monotonic() < until
        connection.close()
        return done

    def _one(self, connection: http.client.HTTPConnection, number: int) -> None:
        phone = f"+7900{number:07}"
        begun = self._call(
            connection,
            "/proofs",
            {"programme": self._programme, "phone": phone, "purpose": "till"},
            201,
        )
        told = {"code": self._code(phone)}
        self._call(connection, f"/proofs/{begun['id']}/code", told, 200)
        member = {
            "programme": self._programme,
            "phone": phone,
            "first_name": "Екатерина",
            "last_name": "Константинова",
            "proof": begun["id"],
            "consents": {
                "data": {"text": self._texts["data"]},
                "advertising": {"text": self._texts["advertising"], "channels": ["sms"]},
            },
        }
        self._call(connection, "/members", member, 201)

    def _code(self, phone: str) -> str:
        """What the customer reads on the phone: the newest code that was written to it."""
        with self._database.read_tx() as session:
            newest = session.exec(
                select(Message)
                .where(Message.kind == MessageKind.TILL_CODE)
                .order_by(col(Message.id).desc())
                .limit(4 * _CLIENTS)
            )
            for each in newest:
                if phone in each.recipient:
                    return str(_CODE.findall(each.body or "")[0])
        raise RuntimeError("The code was not sent.")

    def _call(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: Mapping[str, Any],
        wanted: int,
    ) -> dict[str, Any]:
        connection.request(
            "POST",
            f"/api/v1{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != wanted:
            raise RuntimeError(f"{path} was answered {answer.status}: {said[:500]!r}")
        return dict(json.loads(said))
