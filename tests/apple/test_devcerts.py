"""Development certificates: like Apple's, never mistaken for them, made once."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlmodel import Session, col, select

from tests.apple.material import PASS_TYPE, TEAM, chain, pem
from walletsvc.apple import identity
from walletsvc.apple.devcerts import create
from walletsvc.apple.models import CertificateState, SigningCertificate
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings, load
from walletsvc.storage.engine import Database

OTHER = "pass.test.other"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory that does not exist yet."""
    return load(data_dir=tmp_path / "data")


def make(session: Session, settings: Settings, now: datetime, *types: str) -> list[PassType]:
    return create(
        session,
        settings,
        pass_type_identifiers=types or (PASS_TYPE,),
        team_identifier=TEAM,
        now=now,
    )


def rows(database: Database) -> list[SigningCertificate]:
    with database.read_tx() as session:
        return list(session.exec(select(SigningCertificate).order_by(col(SigningCertificate.id))))


def test_the_leaf_says_what_apples_says() -> None:
    """Names, usages and Apple's own extension, so that every reader does its real work."""
    leaf, issuer = chain().leaf, chain().authority.certificate
    subject = [(a.oid, a.value) for a in leaf.subject]
    assert subject[:3] == [
        (NameOID.USER_ID, PASS_TYPE),
        (NameOID.COMMON_NAME, f"Pass Type ID: {PASS_TYPE}"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, TEAM),
    ]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage
    assert x509.ObjectIdentifier("1.2.840.113635.100.4.14") in usage
    oid = x509.ObjectIdentifier("1.2.840.113635.100.6.1.16")
    own = leaf.extensions.get_extension_for_oid(oid).value
    assert isinstance(own, x509.UnrecognizedExtension)
    assert own.value == b"\x0c" + bytes([len(PASS_TYPE)]) + PASS_TYPE.encode()
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=365)
    key = leaf.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert "Worldwide Developer Relations" in issuer.subject.rfc4514_string()


def test_nobody_takes_them_for_apples() -> None:
    """Every certificate of the chain names its maker."""
    for certificate in (chain().root, chain().authority.certificate, chain().leaf):
        assert "walletsvc development (not Apple)" in certificate.subject.rfc4514_string()


def test_openssl_accepts_the_chain(
    database: Database, settings: Settings, now: datetime, tmp_path: Path
) -> None:
    """What the files and rows hold is a chain from the development root to the leaf."""
    with database.write_tx() as session:
        make(session, settings, now)
    (row,) = rows(database)
    (root,) = identity.roots_dir(settings).glob("*.pem")
    (tmp_path / "leaf.pem").write_text(row.certificate_pem)
    (tmp_path / "chain.pem").write_text(row.chain_pem)
    at = str(int(now.timestamp()))
    command = f"openssl verify -attime {at} -CAfile {root} -untrusted chain.pem leaf.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)


def test_a_pass_type_is_born_with_its_epoch(
    database: Database, settings: Settings, now: datetime
) -> None:
    """Tags of another life of the database must be told apart."""
    with database.write_tx() as session:
        (pass_type,) = make(session, settings, now)
    assert (pass_type.identifier, pass_type.team_identifier) == (PASS_TYPE, TEAM)
    assert pass_type.epoch == int(now.timestamp())


def test_only_the_owner_reads_keys(database: Database, settings: Settings, now: datetime) -> None:
    """Folders 0700, files 0600, also when the folder was there and open before."""
    settings.certs_dir.mkdir(parents=True, mode=0o755)
    with database.write_tx() as session:
        make(session, settings, now)
    found = [settings.certs_dir, *settings.certs_dir.rglob("*")]
    assert len(found) == 6
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_second_call_keeps_everything(
    database: Database, settings: Settings, now: datetime
) -> None:
    """Running it again, also for one type more, touches nothing that works."""
    with database.write_tx() as session:
        (first,) = make(session, settings, now)
    before = {path: path.read_bytes() for path in settings.certs_dir.rglob("*.*")}
    with database.write_tx() as session:
        again, other = make(session, settings, now + timedelta(days=30), PASS_TYPE, OTHER)
    assert again.id == first.id
    assert other.id != first.id
    assert {path: path.read_bytes() for path in before} == before
    assert [row.state for row in rows(database)] == [CertificateState.ACTIVE] * 2


def test_an_expired_one_is_retired_and_replaced(
    database: Database, settings: Settings, now: datetime
) -> None:
    """The pass type stays the same, so installed passes go on."""
    later = now + timedelta(days=400)
    with database.write_tx() as session:
        (first,) = make(session, settings, now)
    with database.write_tx() as session:
        (again,) = make(session, settings, later)
        assert identity.check(session, settings, later) == []
    assert (again.id, again.epoch) == (first.id, first.epoch)
    assert [row.state for row in rows(database)] == [
        CertificateState.RETIRED,
        CertificateState.ACTIVE,
    ]


def test_one_that_ends_soon_or_lacks_nfc_is_renewed(
    database: Database, settings: Settings, now: datetime
) -> None:
    """What the warning advises must help; one that can do more than asked is kept."""

    def dev(days: int, *, nfc: bool) -> None:
        with database.write_tx() as session:
            create(
                session,
                settings,
                pass_type_identifiers=[PASS_TYPE],
                team_identifier=TEAM,
                now=now + timedelta(days=days),
                nfc=nfc,
            )

    counts = []
    for days, nfc in ((0, False), (1, False), (1, True), (2, False), (340, False)):
        dev(days, nfc=nfc)
        counts.append(len(rows(database)))
    assert counts == [1, 1, 2, 2, 3]


def test_an_authority_of_the_future_issues_nothing(
    database: Database, settings: Settings, now: datetime
) -> None:
    """Made while the clock was ahead: nobody would believe its leaves yet."""
    with database.write_tx() as session:
        make(session, settings, now + timedelta(days=3), OTHER)
        (kind,) = make(session, settings, now)
        identity.load(session, settings, kind.id, now)


def test_a_lost_key_is_made_anew(database: Database, settings: Settings, now: datetime) -> None:
    """A certificate without its key is of no use to anyone."""
    with database.write_tx() as session:
        make(session, settings, now)
    (settings.certs_dir / rows(database)[0].key_file).unlink()
    with database.write_tx() as session:
        make(session, settings, now)
        assert identity.check(session, settings, now) == []


def test_a_lost_intermediate_harms_no_earlier_leaf(
    database: Database, settings: Settings, now: datetime
) -> None:
    """A new chain begins, and the old root stays trusted."""
    with database.write_tx() as session:
        make(session, settings, now)
    (settings.certs_dir / "development-wwdr.key").unlink()
    with database.write_tx() as session:
        make(session, settings, now, OTHER)
        assert identity.check(session, settings, now) == []
    assert len(list(identity.roots_dir(settings).iterdir())) == 2


def test_a_certificate_of_apple_is_never_replaced(
    database: Database, settings: Settings, now: datetime
) -> None:
    """Even when it does not work: the operator must learn of it."""
    with database.write_tx() as session:
        make(session, settings, now)
        row = session.exec(select(SigningCertificate)).one()
        row.certificate_pem = pem(_someone_elses(now)).decode()
    words = "from Apple that does not work"
    with pytest.raises(ConfigurationError, match=words), database.write_tx() as session:
        make(session, settings, now)
    assert [row.state for row in rows(database)] == [CertificateState.ACTIVE]


def _someone_elses(now: datetime) -> x509.Certificate:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Apple Inc.")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.public_key(key.public_key()).sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    ("pass_type", "team", "words"),
    [
        ("loyalty", TEAM, "'loyalty' is not a pass type identifier"),
        ("pass.../../etc/passwd", TEAM, "is not a pass type identifier"),
        ("pass.ok/../..", TEAM, "is not a pass type identifier"),
        ("pass.ok\n", TEAM, "is not a pass type identifier"),
        (PASS_TYPE, "team", "'team' is not a team identifier"),
        (PASS_TYPE, "ANOTHER001", "is set up for the team TEST000001, not ANOTHER001"),
    ],
)
def test_wrong_names_are_refused(
    database: Database, settings: Settings, now: datetime, pass_type: str, team: str, words: str
) -> None:
    """The message says what is wrong; nothing is written."""
    with database.write_tx() as session:
        make(session, settings, now)
    before = sorted(settings.certs_dir.rglob("*"))
    with pytest.raises(ConfigurationError, match=words), database.write_tx() as session:
        create(
            session,
            settings,
            pass_type_identifiers=[pass_type],
            team_identifier=team,
            now=now,
        )
    assert sorted(settings.certs_dir.rglob("*")) == before


def test_two_at_once_make_one_authority(
    database: Database, settings: Settings, now: datetime
) -> None:
    """Two commands started together must not write over each other's intermediate."""

    def one(pass_type: str) -> None:
        with database.write_tx() as session:
            make(session, settings, now, pass_type)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, (PASS_TYPE, OTHER)))
    assert len(list(identity.roots_dir(settings).iterdir())) == 1
    with database.read_tx() as session:
        assert identity.check(session, settings, now) == []
