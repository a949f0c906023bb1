"""`walletsvc certs`: from the request to Apple to a pass that openssl verifies."""

from __future__ import annotations

import json
import logging
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)
from sqlmodel import col, select, update

from tests.apple.authority import PASS_TYPE, TEAM, apple, some_key
from tests.apple.material import pem, verified
from tests.cli.serving import tls
from tests.factories import make_member, make_shop
from walletsvc.apple import identity
from walletsvc.apple.factory import PackageFactory
from walletsvc.apple.models import SigningCertificate
from walletsvc.cli.certs import certs
from walletsvc.cli.doctor.command import doctor
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes import stored
from walletsvc.passes.models import Pass, PassTemplate, PassType
from walletsvc.settings import Settings, load
from walletsvc.storage.engine import Database

PASSPHRASE = "correct horse battery"
# Commands look at the clock themselves.
TODAY = datetime.now(UTC)


@dataclass
class Desk:
    """A terminal on an installation that trusts our Apple."""

    database: Database
    folder: Path
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = load()
        apple().trusted_by(self.settings)

    def run(self, *words: str | Path, code: int = 0) -> Result:
        result = CliRunner().invoke(certs, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def cer(self, request: bytes, **options: object) -> Path:
        """What Apple lets one download."""
        leaf = apple().answer(request, at=TODAY, **options)
        # The intermediate is at hand, as Apple's G4 is in a real installation.
        self.settings.certs_dir.mkdir(exist_ok=True)
        (self.settings.certs_dir / "wwdr.pem").write_bytes(pem(apple().wwdr))
        return self.file("pass.cer", leaf.public_bytes(Encoding.DER))

    def p12(self, at: datetime = TODAY, number: int = 0) -> Path:
        """What a keychain exports."""
        key = some_key(number)
        data = pkcs12.serialize_key_and_certificates(
            b"pass",
            key,
            apple().issue(key.public_key(), at=at),
            [apple().wwdr],
            BestAvailableEncryption(PASSPHRASE.encode()),
        )
        return self.file("pass.p12", data)

    def signed_pass(self, folder: str) -> dict[str, bytes]:
        """A pass of the pass type, verified by openssl."""
        (self.folder / folder).mkdir()
        with self.database.write_tx() as session:
            pass_ = session.exec(select(Pass)).first()
            if pass_ is None:
                shop = make_shop(session, TODAY)
                kind = session.exec(select(PassType.id).where(PassType.identifier == PASS_TYPE))
                session.execute(
                    update(PassTemplate)
                    .where(col(PassTemplate.id) == shop.template.id)
                    .values(pass_type_id=kind.one())
                )
                session.refresh(shop.template)
                session.delete(shop.pass_type)
                _, pass_ = make_member(session, shop, TODAY)
        found = stored.by_id(self.database, pass_.id)
        assert found is not None
        with self.database.lazy_read() as read:
            package = PackageFactory(self.settings).build(read, found)
        return verified(package, apple().root, self.folder / folder, TODAY)


@pytest.fixture(name="desk")
def desk_fixture(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database_url)
    (tmp_path / "data").mkdir(mode=0o700)  # as `prepare_data_dir` makes it
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    return Desk(database, tmp_path)


ASK = ("csr", "--pass-type", PASS_TYPE, "--team", TEAM)


def test_from_the_request_to_a_pass_and_on_to_its_renewal(desk: Desk) -> None:
    """By `.cer`, then by `.p12`; openssl accepts the passes of both."""
    asked = desk.run(*ASK)
    assert "developer.apple.com" in asked.stderr
    assert "walletsvc certs import" in asked.stderr
    request = asked.stdout.encode()
    assert x509.load_pem_x509_csr(request).is_signature_valid
    again = desk.run("csr", "--pass-type", PASS_TYPE, "--team", TEAM, "--out", desk.folder / "r")
    assert "pending request, again" in again.stdout
    assert (desk.folder / "r").read_bytes() == request
    assert desk.run("check").stdout.startswith(f"note: {PASS_TYPE}: a request is pending")

    done = desk.run("import", desk.cer(request, life=timedelta(days=20)))
    assert f"{PASS_TYPE}: signs with this certificate from now on" in done.stdout
    assert "active already" in desk.run("import", desk.folder / "pass.cer").stdout
    desk.signed_pass("first")
    soon = desk.run("check")
    assert soon.stderr.startswith(f"warning: {PASS_TYPE}: The certificate runs out in 19 days")
    assert "All signing certificates work." in soon.stdout

    passphrase = desk.file("passphrase", f"{PASSPHRASE}\n".encode())
    options = ("--passphrase-file", passphrase, "--pass-type", PASS_TYPE, "--team", TEAM)
    later = TODAY + timedelta(minutes=1)
    done = desk.run("import", desk.p12(later), *options)
    assert "from now on" in done.stdout
    assert "active already" in desk.run("import", desk.folder / "pass.p12", *options).stdout
    desk.signed_pass("second")
    checked = desk.run("check")
    assert (checked.stderr, "All signing certificates work." in checked.stdout) == ("", True)


def test_passphrases_come_from_the_environment_and_are_never_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Or from a file; a missing or wrong one is one line."""
    path = desk.p12()
    with pytest.raises(ConfigurationError, match="needs its passphrase"):
        desk.run("import", path)
    monkeypatch.setenv("WALLETSVC_CERT_PASSPHRASE", "tr0ub4dor")
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(ConfigurationError, match="cannot be opened") as refused,
    ):
        desk.run("import", path)
    assert "tr0ub4dor" not in refused.value.detail + caplog.text
    monkeypatch.delenv("WALLETSVC_CERT_PASSPHRASE")
    file = desk.file("passphrase", PASSPHRASE.encode())
    monkeypatch.setenv("WALLETSVC_CERT_PASSPHRASE_FILE", str(file))
    said = desk.run("import", path).output
    assert PASSPHRASE not in said
    with desk.database.read_tx() as session:
        row = session.exec(select(SigningCertificate)).one()
    key = (desk.settings.certs_dir / row.key_file).read_bytes()
    assert b"ENCRYPTED" not in key
    assert PASSPHRASE.encode() not in key


def test_a_key_from_elsewhere_comes_along(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with openssl, say, and locked."""
    monkeypatch.setenv("WALLETSVC_CERT_PASSPHRASE", PASSPHRASE)
    leaf = apple().issue(some_key().public_key(), at=TODAY)
    chain = desk.file("chain.pem", pem(leaf) + pem(apple().wwdr))
    locked = some_key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
    )
    with pytest.raises(ConfigurationError, match="not among the keys"):
        desk.run("import", chain)
    desk.run("import", chain, "--key", desk.file("my.key", locked))
    assert desk.run("check").stderr == ""


def test_apples_intermediate_is_kept(desk: Desk) -> None:
    """As Apple offers it: DER."""
    newer = apple("G6")
    file = desk.file("AppleWWDRCAG6.cer", newer.wwdr.public_bytes(Encoding.DER))
    assert "AppleWWDRCAG6-" in desk.run("import", file).stdout
    assert newer.wwdr in identity.intermediates(desk.settings)


def test_the_list_shows_what_there_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """For people and for programs; also a key that is not on this machine."""
    assert "no signing certificate yet" in desk.run("list").stdout
    monkeypatch.setenv("WALLETSVC_CERT_PASSPHRASE", PASSPHRASE)
    desk.run("import", desk.p12())
    desk.run("import", desk.p12(TODAY + timedelta(minutes=1), number=1))
    desk.run("dev", "--pass-type", "pass.dev.one", "--nfc")
    found = json.loads(desk.run("list", "--json").stdout)
    assert [(e["pass_type"], e["state"], e["signs"], e["nfc"], e["issued_by"]) for e in found] == [
        (PASS_TYPE, "active", True, False, "Apple G4"),
        (PASS_TYPE, "retired", False, False, "Apple G4"),
        ("pass.dev.one", "active", True, True, "development"),
    ]
    first = found[0]
    assert (first["team"], first["days_left"], first["key_present"]) == (TEAM, 364, True)
    assert first["valid_until"].endswith("Z")
    key = desk.settings.certs_dir / first["key_file"]
    key.unlink()
    shown = desk.run("list").stdout
    assert f"{PASS_TYPE}  active\n" in shown
    assert f"{PASS_TYPE}  retired, signs here\n" in shown
    assert f"{key.name} (missing on this machine)" in shown
    assert first["fingerprint"][:16] in shown
    # Of the host without the new key: a warning, not an error.
    assert "warning: " in desk.run("check").stderr
    with tls(desk.folder / "push") as (port, authority):
        service = {
            "WALLETSVC_APNS_URL": f"https://localhost:{port}",
            "WALLETSVC_APNS_CA_FILE": str(authority),
        }
        result = CliRunner().invoke(doctor, env=service, catch_exceptions=False)
    assert "warning: " in result.output
    assert result.exit_code == 0


def test_check_names_what_lies_about(desk: Desk) -> None:
    """Open folders, open keys of pending requests, files that belong to nothing."""
    desk.run(*ASK)
    folder = desk.settings.certs_dir
    (key,) = folder.glob("*.key")
    key.chmod(0o640)
    folder.chmod(0o755)
    desk.settings.data_dir.chmod(0o750)
    (folder / "notes.txt").write_text("hello")
    notes = desk.run("check").stdout
    assert f"The data directory {desk.settings.data_dir} is open to other users" in notes
    assert f"The folder for keys {folder} is open to other users" in notes
    assert f"The private key {key} is open to other users" in notes
    assert f"{folder / 'notes.txt'} belongs to no certificate" in notes
    assert f"(key {key.name})" in notes


def test_errors_are_told_with_exit_code_1(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its pass type."""
    monkeypatch.setenv("WALLETSVC_CERT_PASSPHRASE", PASSPHRASE)
    desk.run("import", desk.p12())
    for key in desk.settings.certs_dir.glob("*.key"):
        key.chmod(0o644)
    assert f"error: {PASS_TYPE}: The private key" in desk.run("check", code=1).stderr


def test_a_request_is_never_written_over_something_else(desk: Desk) -> None:
    """`--out` with the name of a key would cost the key."""
    precious = desk.file("precious.key", b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(ConfigurationError, match="is not a signing request"):
        desk.run(*ASK, "--out", precious)
    assert precious.read_bytes() == b"-----BEGIN PRIVATE KEY-----"
    assert not list(desk.settings.certs_dir.glob("*.key"))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        desk.run(*ASK, "--out", desk.folder / "no" / "such.csr")


def test_another_key_on_demand(desk: Desk) -> None:
    """Each request has its own; both are private."""
    first = desk.run(*ASK).stdout
    assert desk.run(*ASK, "--new").stdout != first
    keys = list(desk.settings.certs_dir.glob("*.key"))
    assert len(keys) == 2
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
