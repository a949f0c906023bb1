"""The factory: published passes in, packages out; what it remembers and for how long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7
from sqlmodel import Session, col, select, update

from tests.apple.material import PASS_TYPE, TEAM, document, unpack, verified
from tests.factories import Shop, make_member, make_shop
from tests.heard import statements
from walletsvc.apple import identity
from walletsvc.apple.devcerts import create
from walletsvc.apple.factory import RECHECK, PackageFactory
from walletsvc.apple.models import SigningCertificate
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes import content, stored
from walletsvc.passes.models import Pass, PassTemplate, PassType, TemplateImage, TemplateVersion
from walletsvc.passes.stored import Stored
from walletsvc.settings import Settings, load
from walletsvc.storage.engine import Database


@dataclass
class Works:
    """A shop whose one member has a published pass, and a factory with a clock to set."""

    database: Database
    settings: Settings
    pass_id: int
    pass_type_id: int
    now: datetime

    def __post_init__(self) -> None:
        self.factory = PackageFactory(self.settings, clock=lambda: self.now)

    @property
    def root(self) -> x509.Certificate:
        (file,) = identity.roots_dir(self.settings).glob("*.pem")
        return x509.load_pem_x509_certificate(file.read_bytes())

    def build(self) -> bytes:
        with self.database.lazy_read() as session:
            return self.factory.build(session, self.stored())

    def stored(self) -> Stored:
        found = stored.by_id(self.database, self.pass_id)
        assert found is not None
        return found

    def certify(self, session: Session) -> PassType:
        (kind,) = create(
            session,
            self.settings,
            pass_type_identifiers=[PASS_TYPE],
            team_identifier=TEAM,
            now=self.now,
        )
        return kind


def publish(session: Session, pass_id: int) -> None:
    """Store what the pass says now, as publishing does."""
    rendered = content.render(session, [pass_id])[pass_id]
    pass_ = session.get_one(Pass, pass_id)
    pass_.content, pass_.version_id = rendered.content, rendered.version_id


def move(session: Session, shop: Shop, kind: PassType) -> None:
    """Let the shop's passes be of the certified type."""
    statement = update(PassTemplate).where(col(PassTemplate.id) == shop.template.id)
    session.execute(statement.values(pass_type_id=kind.id))
    session.expire_all()


@pytest.fixture
def works(database: Database, tmp_path: Path, now: datetime) -> Works:
    """Everything a package needs, in a real database."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        works = Works(database, load(data_dir=tmp_path), 0, 0, now)
        kind = works.certify(session)
        works.pass_type_id = kind.id
        move(session, shop, kind)
        _, pass_ = make_member(session, shop, now, name="Ёжик")
        works.pass_id = pass_.id
        publish(session, pass_.id)
        version_id = session.get_one(Pass, pass_.id).version_id
        assert version_id is not None
        source = TemplateImage(version_id=version_id, kind="icon", density=0, png=b"source")
        session.add(source)
    return works


def test_a_published_pass_becomes_a_package(works: Works, tmp_path: Path) -> None:
    """With its own serial and token, the stored content, and all densities of the images."""
    files = verified(works.build(), works.root, tmp_path, works.now)
    with works.database.read_tx() as session:
        pass_ = session.get_one(Pass, works.pass_id)
    whole = document(files)
    assert (whole["serialNumber"], whole["authenticationToken"]) == (pass_.serial, pass_.auth_token)
    assert (whole["passTypeIdentifier"], whole["teamIdentifier"]) == (PASS_TYPE, TEAM)
    assert whole["webServiceURL"] == "http://127.0.0.1:8000/apple"
    assert whole["storeCard"]["secondaryFields"][0]["value"].startswith("Ёжик")
    assert {"icon.png", "icon@2x.png", "icon@3x.png"} <= set(files)
    assert files["icon@3x.png"] != files["icon.png"]
    assert b"source" not in files.values()


def test_a_contactless_template_makes_plain_passes_under_a_plain_certificate(
    works: Works, tmp_path: Path
) -> None:
    """A renewal may have lost NFC: better a pass that terminals do not read than none at all."""
    nfc = {"message": "{card_number}", "encryption_public_key": "AAAA"}
    with works.database.write_tx() as session:
        for version in session.exec(select(TemplateVersion)):
            version.description = version.description | {"nfc": nfc}
        pass_ = session.get_one(Pass, works.pass_id)
        pass_.content = (pass_.content or {}) | {"nfc": "9000"}
    assert "nfc" not in document(verified(works.build(), works.root, tmp_path, works.now))


def test_parts_are_kept_between_passes(works: Works) -> None:
    """The second package asks the database for nothing but the pass itself."""
    works.build()
    with statements(works.database) as seen:
        works.build()
    assert [
        statement for statement in seen if " FROM " in statement and "passes" not in statement
    ] == []


def test_a_renewed_certificate_signs_without_a_restart(works: Works) -> None:
    """Seconds after the renewal, and the old one until then."""
    before = _leaf(works.build())
    with works.database.write_tx() as session:
        row = session.exec(select(SigningCertificate)).one()
        (works.settings.certs_dir / row.key_file).unlink()
        works.certify(session)
    assert _leaf(works.build()) == before
    works.now += RECHECK
    after = _leaf(works.build())
    assert after != before
    assert after.subject == before.subject


def test_an_expired_certificate_signs_nothing(works: Works) -> None:
    """Phones would refuse the pass; also when the factory knew the certificate while it lived."""
    works.build()
    works.now += timedelta(days=366)
    with pytest.raises(ConfigurationError, match="expired"):
        works.build()


def test_a_pass_type_without_a_certificate_is_told(works: Works) -> None:
    """The error names the pass type and what to do."""
    with works.database.write_tx() as session:
        session.execute(update(SigningCertificate).values(state="retired"))
    with pytest.raises(ConfigurationError, match=f"{PASS_TYPE}: There is no signing certificate"):
        works.build()


def test_a_pass_without_a_published_template_is_a_mistake_of_the_caller(works: Works) -> None:
    """There is nothing to build."""
    with works.database.write_tx() as session:
        session.execute(update(TemplateVersion).values(state="retired"))
    with works.database.lazy_read() as session, pytest.raises(ValueError, match="not published"):
        works.factory.build(session, works.stored())


def test_threads_share_one_factory(works: Works, tmp_path: Path) -> None:
    """Whoever comes first prepares; every package is whole."""
    with ThreadPoolExecutor(8) as pool:
        packages = list(pool.map(lambda _: works.build(), range(24)))
    folders = [tmp_path / str(number) for number in range(len(packages))]
    for package, folder in zip(packages, folders, strict=True):
        folder.mkdir()
        verified(package, works.root, folder, works.now)


def test_pushes_are_sent_with_the_same_certificate(works: Works) -> None:
    """The key fits, and the intermediate follows, so that the other side can build the chain."""
    with works.database.read_tx() as session:
        client = works.factory.identity(session, works.pass_type_id)
    leaf, issuer = x509.load_pem_x509_certificates(client.certificate_pem)
    leaf.verify_directly_issued_by(issuer)
    key = load_pem_private_key(client.key_pem, password=None)
    assert key.public_key() == leaf.public_key()


def _leaf(package: bytes) -> x509.Certificate:
    certificates = pkcs7.load_der_pkcs7_certificates(unpack(package)["signature"])
    (leaf,) = [c for c in certificates if "Pass Type ID" in c.subject.rfc4514_string()]
    return leaf
