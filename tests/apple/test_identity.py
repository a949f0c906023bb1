"""Whether key, certificate, pass type, team and chain belong together, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from sqlmodel import Session

from tests.apple.material import PASS_TYPE, TEAM, chain, pem
from walletsvc.apple import identity
from walletsvc.apple.authorities import REPOSITORY_CERTS
from walletsvc.apple.devcerts import create, issue_leaf
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings, load
from walletsvc.storage.engine import Database


@dataclass
class Installed:
    """A pass type with a certificate from the test chain, to be spoilt."""

    settings: Settings
    pass_type: PassType
    row: SigningCertificate

    @property
    def key_path(self) -> Path:
        return self.settings.certs_dir / self.row.key_file

    def write_key(self, data: bytes, mode: int = 0o600) -> None:
        self.key_path.write_bytes(data)
        self.key_path.chmod(mode)

    def use(self, leaf: x509.Certificate, key: RSAPrivateKey) -> None:
        self.row.certificate_pem = pem(leaf).decode()
        self.write_key(key_pem(key))


def key_pem(
    key: RSAPrivateKey | ed25519.Ed25519PrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def install(folder: Path, now: datetime) -> Installed:
    settings = load(data_dir=folder)
    roots = identity.roots_dir(settings)
    roots.mkdir(parents=True)
    (roots / "test.pem").write_bytes(pem(chain().root))
    pass_type = PassType(
        identifier=PASS_TYPE, team_identifier=TEAM, epoch=int(now.timestamp()), created_at=now
    )
    row = SigningCertificate(
        state=CertificateState.ACTIVE,
        fingerprint="00",
        certificate_pem="",
        chain_pem=pem(chain().authority.certificate).decode(),
        key_file="test.key",
        not_before=now,
        not_after=now,
        created_at=now,
    )
    installed = Installed(settings, pass_type, row)
    installed.use(chain().leaf, chain().key)
    return installed


def store(session: Session, installed: Installed) -> None:
    session.add(installed.pass_type)
    session.flush()
    installed.row.pass_type_id = installed.pass_type.id
    session.add(installed.row)
    session.flush()


def _other_type(it: Installed) -> None:
    it.use(*issue_leaf(chain().authority, "pass.test.foreign", TEAM, it.row.created_at))


def _other_team(it: Installed) -> None:
    it.use(*issue_leaf(chain().authority, PASS_TYPE, "ANOTHER001", it.row.created_at))


def _issued(days: int) -> Callable[[Installed], None]:
    def spoil(it: Installed) -> None:
        at = it.row.created_at + timedelta(days=days)
        it.use(*issue_leaf(chain().authority, PASS_TYPE, TEAM, at))

    return spoil


def _foreign_chain(it: Installed) -> None:
    it.use(chain(1).leaf, chain(1).key)
    it.row.chain_pem = pem(chain(1).authority.certificate).decode()


def _root_not_trusted(it: Installed) -> None:
    (identity.roots_dir(it.settings) / "test.pem").unlink()


def _no_intermediate(it: Installed) -> None:
    it.row.chain_pem = ""


def _namesake_intermediate(it: Installed) -> None:
    it.row.chain_pem = pem(chain(1).authority.certificate).decode()


def _key_is_folder(it: Installed) -> None:
    it.key_path.unlink()
    it.key_path.mkdir()


PROBLEMS: dict[str, tuple[Callable[[Installed], None], tuple[str, str]]] = {
    "wrong key": (
        lambda it: it.write_key(key_pem(chain(1).key)),
        ("does not belong to the certificate", "with which the certificate was requested"),
    ),
    "another pass type": (
        _other_type,
        ("issued for the pass type pass.test.foreign", f"Apple issued for {PASS_TYPE}"),
    ),
    "another team": (
        _other_team,
        ("belongs to the team ANOTHER001", "set up for the team TEST000001"),
    ),
    "expired": (_issued(-366), ("expired on 2026-11-19", "walletsvc certs dev")),
    "not yet valid": (_issued(2), ("valid only from 2026-11-22", "Check the clock")),
    "foreign chain": (_foreign_chain, ("does not lead to Apple's root", "issued by Apple")),
    "untrusted root": (_root_not_trusted, ("does not lead to Apple's root", "certs dev")),
    "no intermediate": (_no_intermediate, ("no matching intermediate", "certs dev")),
    "intermediate of the same name": (_namesake_intermediate, ("no matching", "certs dev")),
    "missing key": (lambda it: it.key_path.unlink(), ("is missing", "Restore it from a backup")),
    "unreadable key": (_key_is_folder, ("cannot be opened", "Make it readable")),
    "key open to the group": (
        lambda it: it.key_path.chmod(0o640),
        ("open to other users of this machine (mode 0640)", "chmod 600"),
    ),
    "key open to all": (lambda it: it.key_path.chmod(0o604), ("(mode 0604)", "chmod 600")),
    "not a key": (lambda it: it.write_key(b"hello"), ("is not a private key", "Restore")),
    "key with password": (
        lambda it: it.write_key(key_pem(chain().key, BestAvailableEncryption(b"secret"))),
        ("has a password", "Store it without one"),
    ),
    "unusable key": (
        lambda it: it.write_key(key_pem(ed25519.Ed25519PrivateKey.generate())),
        ("neither RSA nor EC", "Apple issues"),
    ),
    "unreadable certificate": (
        lambda it: setattr(it.row, "certificate_pem", "hello"),
        ("stored certificate cannot be read", "certs csr"),
    ),
}


def test_what_belongs_together_has_no_problem(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    """The chain in the row and the root in the folder are enough."""
    installed = install(tmp_path, now)
    with database.write_tx() as session:
        store(session, installed)
        assert identity.check(session, installed.settings, now) == []
        found = identity.load(session, installed.settings, installed.pass_type.id, now)
    assert found.certificate == chain().leaf
    assert found.chain == (chain().authority.certificate,)
    assert (found.pass_type_identifier, found.team_identifier) == (PASS_TYPE, TEAM)


@pytest.mark.parametrize("name", PROBLEMS)
def test_each_problem_is_told_in_words(name: str, tmp_path: Path, now: datetime) -> None:
    """One fault, one message: what is wrong and what to do."""
    spoil, words = PROBLEMS[name]
    it = install(tmp_path, now)
    assert identity.examine(it.pass_type, it.row, it.settings, now) == []
    spoil(it)
    (message,) = identity.examine(it.pass_type, it.row, it.settings, now)
    for part in words:
        assert part in message


def test_several_problems_are_all_told_and_nothing_is_loaded(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    """An operator should not have to find them one by one."""
    it = install(tmp_path, now)
    _other_team(it)
    it.write_key(key_pem(chain(1).key), mode=0o644)
    with database.write_tx() as session:
        store(session, it)
        problems = identity.check(session, it.settings, now)
        assert [problem.pass_type for problem in problems] == [PASS_TYPE] * 3
        with pytest.raises(ConfigurationError) as refused:
            identity.load(session, it.settings, it.pass_type.id, now)
    for problem in problems:
        assert str(problem) in refused.value.detail


def test_a_pass_type_without_a_certificate_is_told(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    """A retired certificate does not count."""
    it = install(tmp_path, now)
    it.row.state = CertificateState.RETIRED
    with database.write_tx() as session:
        store(session, it)
        (problem,) = identity.check(session, it.settings, now)
        assert "There is no signing certificate" in problem.message
        with pytest.raises(ConfigurationError, match="certs dev"):
            identity.load(session, it.settings, it.pass_type.id, now)


def test_the_intermediate_is_found_by_the_leafs_issuer(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    """A row without a chain, or with another generation, uses what lies in the data folder."""
    installed = install(tmp_path, now)
    installed.row.chain_pem = pem(chain(1).authority.certificate).decode()
    folder = installed.settings.certs_dir
    (folder / "a.pem").write_bytes(pem(chain(2).authority.certificate))
    (folder / "b.pem").write_bytes(pem(chain().authority.certificate))
    with database.write_tx() as session:
        store(session, installed)
        assert identity.check(session, installed.settings, now) == []
        found = identity.load(session, installed.settings, installed.pass_type.id, now)
    assert found.chain == (chain().authority.certificate,)


def test_a_broken_file_among_the_roots_is_named(tmp_path: Path, now: datetime) -> None:
    """Trust must not silently shrink."""
    it = install(tmp_path, now)
    (identity.roots_dir(it.settings) / "bad.pem").write_text("hello")
    with pytest.raises(ConfigurationError, match=r"bad\.pem is not a certificate"):
        identity.examine(it.pass_type, it.row, it.settings, now)


def test_apples_own_intermediate_leads_to_apples_root(now: datetime) -> None:
    """The public certificates that come with the project fit each other, as of now and then."""
    folder = REPOSITORY_CERTS
    root = x509.load_pem_x509_certificate((folder / "AppleRootCA.pem").read_bytes())
    wwdr = x509.load_pem_x509_certificate((folder / "AppleWWDRCAG4.pem").read_bytes())
    assert identity.issuer_of(wwdr, [chain().root, root]) == root
    assert identity.verify_chain(wwdr, [], [root], now) is None
    assert "expired" in str(identity.verify_chain(wwdr, [], [root], now.replace(year=2031)))
    assert identity.verify_chain(wwdr, [], [chain().root], now) is not None
    settings = load(data_dir=folder / "nowhere")
    assert identity.trust_anchors(settings) == [root]
    assert wwdr in identity.intermediates(settings)


def test_development_certificates_pass(database: Database, tmp_path: Path, now: datetime) -> None:
    """What `certs dev` makes is what the check accepts, through the whole year."""
    settings = load(data_dir=tmp_path)
    with database.write_tx() as session:
        create(
            session,
            settings,
            pass_type_identifiers=[PASS_TYPE],
            team_identifier=TEAM,
            now=now,
        )
        assert identity.check(session, settings, now) == []
        for day in (335, 364):
            found = identity.check(session, settings, now + timedelta(days=day))
            assert [problem.severity for problem in found] == [identity.Severity.WARNING]
