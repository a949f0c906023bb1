"""The answer to whoever asks for a pass: who may have it, whether it changed, and the package.

Knows nothing of the web framework, since phones' requests are answered in front of it too
(`shortcut`): after a broadcast every phone asks for its pass, so this is the hottest there is.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from werkzeug.http import http_date, parse_date, parse_etags

from walletsvc.apple import registrations
from walletsvc.apple.factory import PackageFactory
from walletsvc.cards.codes import service as codes
from walletsvc.core.clock import Clock
from walletsvc.core.errors import NotFound, Unauthenticated
from walletsvc.core.ids import secret_token
from walletsvc.passes import stored
from walletsvc.passes.events import Event, EventBuffer
from walletsvc.passes.models import EventKind, Wallet
from walletsvc.passes.publish import Publisher
from walletsvc.passes.stored import Stored
from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database

MEDIA_TYPE: Final = "application/vnd.apple.pkpass"
_AUTHORIZATION: Final = re.compile(r"^(?:Apple|Android)Pass ([\x21-\x7e]{1,256})$")
_ODD: Final = re.compile(r"[^\x20-\x7e]+|[\w-]{28,}")
_AGENT_LENGTH: Final = 60


class Caller(NamedTuple):
    """What a request says besides its address: headers as they came, empty where there was none.

    `head`: the body is not wanted, so that nothing was taken.
    """

    authorization: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""
    agent: str = ""
    head: bool = False


class Answer(NamedTuple):
    """Status 200 with the package, or 304 with nothing; headers but for those of the body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""


@dataclass(frozen=True)
class Serving:
    """Serves the passes of one installation; safe to share between threads."""

    database: Database
    clock: Clock
    publisher: Publisher
    factory: PackageFactory
    events: EventBuffer
    # Decrypted and compared with when there is no such pass, so that an unknown serial takes the
    # steps of a wrong token.
    no_token: str = field(default_factory=lambda: keyring().encrypt(secret_token()))

    def opened(self, pass_type: str, serial: str, authorization: str) -> Stored:
        """The pass that the token in the header belongs to.

        Raises Unauthenticated for a wrong token and for an unknown pass alike, by the same steps.
        """
        match = _AUTHORIZATION.match(authorization)
        found = stored.by_serial(
            self.database, wallet=Wallet.APPLE, pass_type=pass_type, serial=serial
        )
        expected = keyring().decrypt(self.no_token) if found is None else found.auth_token
        given = match[1] if match else ""
        if not hmac.compare_digest(expected.encode(), given.encode()) or found is None:
            raise Unauthenticated("The Authorization header does not open this pass.")
        return found

    def is_current(self, found: Stored) -> bool:
        """Whether the pass can be served as it is, without publishing it first."""
        return self.publisher.is_current(found)

    def answer(self, found: Stored, caller: Caller, *, page: bool = False) -> Answer:
        """The pass as it is now; voided passes too, or their phones would show the old balance.

        `page`: it is taken over the address of its page, which is counted as a download.
        Raises NotFound for a pass that was never published.
        """
        current = self.publisher.current(self.database, found, self.clock())
        if current.digest is None or current.last_modified is None:
            raise NotFound("This pass has not been published.")
        etag = current.digest.hex()[:32]
        headers = [
            ("ETag", f'W/"{etag}"'),  # weak: every signature differs in its bytes
            ("Last-Modified", _written(current.last_modified)),
            ("Cache-Control", "private, no-cache"),
        ]
        if _unchanged(caller, etag, current.last_modified):
            self.events.add(self._taken(EventKind.UNCHANGED, current, caller.agent))
            return Answer(304, headers)
        with self.database.lazy_read() as session:
            package = self.factory.build(session, current)
        if current.rolling and not page and not caller.head:
            with self.database.write_tx() as session:
                codes.fetched(session, *current.rolling, self.clock())
        if page and not caller.head:
            with self.database.write_tx() as session:
                registrations.count_download(session, current, self.clock())
        if not caller.head:
            self.events.add(self._taken(EventKind.FETCHED, current, caller.agent, page=page))
        headers.append(("Content-Disposition", "attachment; filename=card.pkpass"))
        return Answer(200, headers, package)

    def _taken(self, kind: EventKind, pass_: Stored, agent: str, *, page: bool = False) -> Event:
        """That the pass was taken, or was there already; `page`: over the address of its page."""
        detail = {"revision": pass_.revision, "agent": _named(agent), "page": page}
        return Event(self.clock(), kind, pass_.pass_type_id, pass_.id, detail=detail)


@lru_cache(maxsize=256)
def _named(agent: str) -> str:
    """What asks, as it calls itself: shortened, and nothing but plain characters."""
    return _ODD.sub("", agent)[:_AGENT_LENGTH].strip()


@lru_cache(maxsize=256)
def _written(moment: datetime) -> str:
    """As HTTP writes it; the passes of a broadcast share few moments."""
    return http_date(moment)


def _unchanged(caller: Caller, etag: str, last_modified: datetime) -> bool:
    """Whether the caller's copy is the present one; an ETag outranks a date (RFC 9110, 13.2.2).

    A date must be the very one that we sent, as nginx has it too: after a restore phones hold
    copies from a time that the database does not know, later than what is right now.
    """
    if caller.if_none_match and (tags := parse_etags(caller.if_none_match)):
        return tags.contains_weak(etag)
    since = parse_date(caller.if_modified_since) if caller.if_modified_since else None
    if since is None:
        return False
    return last_modified.replace(microsecond=0) == since
