"""Packages of published passes, for whoever serves them; the parts are kept between calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import Session, col, select

from walletsvc.apple import identity as identities
from walletsvc.apple.identity import SigningIdentity
from walletsvc.apple.package import PassIdentity, Prepared, build, image_path, prepare
from walletsvc.apple.preflight.nfc import is_nfc_capable
from walletsvc.apple.signing import Signer
from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import Pass, TemplateImage, TemplateVersion
from walletsvc.passes.schemas import Description
from walletsvc.settings import Settings

# A renewed certificate signs at the latest after this; both it and the old one are valid.
RECHECK: Final = timedelta(seconds=5)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class ClientIdentity:
    """What a TLS client proves itself with: the certificate followed by its issuer, and the
    key, both PEM. The key is a secret: never log it."""

    certificate_pem: bytes
    key_pem: bytes


@dataclass(frozen=True)
class _Signing:
    identity: SigningIdentity
    signer: Signer


class _Cache(Generic[K, V]):
    """The last `size` values asked for. Two threads that miss together both make the value;
    equal values do no harm, and nobody waits for another's database."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        with self._lock:
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = value
                return value
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._size:
                del self._values[next(iter(self._values))]
        return value


class PackageFactory:
    """Builds the packages of one installation; safe to share between threads."""

    def __init__(self, settings: Settings, clock: Clock = utcnow) -> None:
        self._settings = settings
        self._clock = clock
        self._prepared: _Cache[int, Prepared] = _Cache(64)
        self._signing: _Cache[int, _Signing] = _Cache(64)
        self._active: dict[int, tuple[datetime, int]] = {}

    def build(self, session: Session, pass_: Pass) -> bytes:
        """The package of what was last published of this pass.

        Raises ConfigurationError when the pass type cannot be signed for, and ValueError for
        a pass that was never published.
        """
        version_id, content = pass_.version_id, pass_.content
        if version_id is None or content is None:
            raise ValueError(f"pass {pass_.id} was never published")
        prepared = self._prepared.get(version_id, lambda: self._prepare(session, version_id))
        signing = self._signing_for(session, pass_.pass_type_id)
        return build(
            prepared,
            signing.signer,
            PassIdentity(
                serial=pass_.serial,
                auth_token=pass_.auth_token,
                web_service_url=f"{self._settings.base_url}/apple",
                pass_type_identifier=signing.identity.pass_type_identifier,
                team_identifier=signing.identity.team_identifier,
                nfc=is_nfc_capable(signing.identity.certificate),
            ),
            content,
        )

    def identity(self, session: Session, pass_type_id: int) -> ClientIdentity:
        """Certificate and key with which pushes for a pass type are sent.

        Raises ConfigurationError when the pass type has none that works.
        """
        found = self._signing_for(session, pass_type_id).identity
        chain = (found.certificate, *found.chain)
        return ClientIdentity(
            certificate_pem=b"".join(c.public_bytes(Encoding.PEM) for c in chain),
            key_pem=found.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def _signing_for(self, session: Session, pass_type_id: int) -> _Signing:
        now = self._clock()
        checked = self._active.get(pass_type_id)
        if checked is None or not timedelta(0) <= now - checked[0] < RECHECK:
            row = identities.active_certificate(session, pass_type_id)
            checked = (now, row.id if row is not None else 0)
            self._active[pass_type_id] = checked
        signing = self._signing.get(checked[1], lambda: self._load(session, pass_type_id, now))
        if now > signing.identity.certificate.not_valid_after_utc:
            raise ConfigurationError(
                f"{signing.identity.pass_type_identifier}: the signing certificate has expired. "
                "'walletsvc certs check' says what to do."
            )
        return signing

    def _load(self, session: Session, pass_type_id: int, now: datetime) -> _Signing:
        found = identities.load(session, self._settings, pass_type_id, now)
        return _Signing(found, Signer(found.certificate, found.key, found.chain))

    def _prepare(self, session: Session, version_id: int) -> Prepared:
        version = session.get_one(TemplateVersion, version_id)
        images = session.exec(
            select(TemplateImage.kind, TemplateImage.density, TemplateImage.png).where(
                TemplateImage.version_id == version_id, col(TemplateImage.density) > 0
            )
        )
        return prepare(
            Description.model_validate(version.description),
            {image_path(kind, density): png for kind, density, png in images},
            self._settings.default_language,
        )
