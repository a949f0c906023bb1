"""Packages of published passes, for whoever serves them; the parts are kept between calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import Session, col, select

from walletsvc.apple import identity as identities
from walletsvc.apple.identity import SigningIdentity
from walletsvc.apple.package import PassIdentity, Prepared, build, image_path, prepare
from walletsvc.apple.signing import Signer
from walletsvc.core.clock import Clock, utcnow
from walletsvc.passes.models import PassType, TemplateImage, TemplateVersion
from walletsvc.passes.schemas import Description
from walletsvc.passes.stored import Stored
from walletsvc.settings import Settings

# A renewed certificate signs at the latest after this, on a host that has its key; until then, and
# on a host without it, the former one goes on signing, also passes that were published for the new.
RECHECK: Final = timedelta(seconds=5)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class ClientIdentity:
    """What a TLS client proves itself with: the certificate followed by its issuer, and the
    key, both PEM. The key is a secret: never log it."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True)
class _Signing:
    identity: SigningIdentity
    signer: Signer


@dataclass(frozen=True)
class _Checked:
    """What signed for a pass type when that was last looked up, and in which generation."""

    at: datetime
    generation: int
    signing: _Signing


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
        self._checked: dict[int, _Checked] = {}

    def build(self, session: Callable[[], Session], pass_: Stored) -> bytes:
        """The package of what this pass says now; `session` is called when parts are missing.

        Raises ConfigurationError when the pass type cannot be signed for, and ValueError for
        a pass whose template is not published.
        """
        says = pass_.said
        if says is None:
            raise ValueError(f"the template of pass {pass_.id} is not published")
        version_id = says.version_id
        prepared = self._prepared.get(version_id, lambda: self._prepare(session(), version_id))
        generation = says.content.get("generation", 0)
        signing = self._signing_for(session, pass_.pass_type_id, generation)
        return build(
            prepared,
            signing.signer,
            PassIdentity(
                serial=pass_.serial,
                auth_token=pass_.auth_token,
                web_service_url=f"{self._settings.base_url}/apple",
                pass_type_identifier=signing.identity.pass_type_identifier,
                team_identifier=signing.identity.team_identifier,
                nfc=identities.is_nfc_capable(signing.identity.certificate),
            ),
            says.content,
        )

    def identity(self, session: Session, pass_type_id: int) -> ClientIdentity:
        """Certificate and key with which pushes for a pass type are sent.

        Raises ConfigurationError when the pass type has none that works.
        """
        found = self._signing_for(lambda: session, pass_type_id, 0).identity
        chain = (found.certificate, *found.chain)
        return ClientIdentity(
            certificate_pem=b"".join(c.public_bytes(Encoding.PEM) for c in chain),
            key_pem=found.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def _signing_for(
        self, session: Callable[[], Session], pass_type_id: int, generation: int
    ) -> _Signing:
        """What signs for a pass type now, at least of the generation a pass was published in."""
        now = self._clock()
        known = self._checked.get(pass_type_id)
        if (
            known is None
            or known.generation < generation
            or not timedelta(0) <= now - known.at < RECHECK
            or now > known.signing.identity.certificate.not_valid_after_utc
        ):
            known = self._check(session(), pass_type_id, known, now)
            self._checked[pass_type_id] = known
        return known.signing

    def _check(
        self, session: Session, pass_type_id: int, known: _Checked | None, now: datetime
    ) -> _Checked:
        """Look up what signs; what is in use already and still the active one is not read anew.

        Raises ConfigurationError in words when nothing works.
        """
        # Before the certificate: a generation that is not seen with it is only seen too late.
        generation = session.exec(
            select(PassType.generation).where(PassType.id == pass_type_id)
        ).one()
        active = identities.active_certificate(session, pass_type_id)
        if known is not None and active is not None:
            used = known.signing.identity
            if used.certificate_id == active.id and now <= used.certificate.not_valid_after_utc:
                return _Checked(now, generation, known.signing)
        found = identities.load(session, self._settings, pass_type_id, now)
        signer = Signer(found.certificate, found.key, found.chain)
        return _Checked(now, generation, _Signing(found, signer))

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
