"""Signing requests: one key per request, shown again until its certificate is there."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlmodel import Session

from tests.apple.authority import PASS_TYPE, TEAM, apple
from walletsvc.apple import bundles, importing
from walletsvc.apple.signing_requests import Request, pending, request
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings, load
from walletsvc.storage.engine import Database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory that does not exist yet, and trusts our Apple."""
    settings = load(data_dir=tmp_path / "data")
    apple().trusted_by(settings)
    return settings


def ask(database: Database, settings: Settings, another: bool = False) -> Request:
    with database.write_tx() as session:
        return request(session, settings, pass_type=PASS_TYPE, team=TEAM, another=another)


def answer(session: Session, settings: Settings, made: Request, now: datetime) -> None:
    leaf = apple().answer(made.pem, at=now)
    bundle = bundles.Bundle("pass.cer", (leaf, apple().wwdr), None)
    importing.import_certificate(session, settings, bundle, actor=SYSTEM, now=now)


def test_openssl_verifies_the_request(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    """A PKCS#10 with RSA-2048, signed with the key that lies in the folder for us alone."""
    made = ask(database, settings)
    (tmp_path / "r.csr").write_bytes(made.pem)
    said = subprocess.run(
        ["openssl", "req", "-verify", "-in", "r.csr", "-noout", "-text"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "verify OK" in said.stdout + said.stderr
    assert "Public-Key: (2048 bit)" in said.stdout
    assert stat.S_IMODE(made.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.certs_dir.stat().st_mode) == 0o700
    own = x509.load_pem_x509_csr(made.pem).public_key()
    assert isinstance(own, rsa.RSAPublicKey)
    assert PASS_TYPE in made.key_file.name


def test_a_pending_request_is_shown_again(database: Database, settings: Settings) -> None:
    """Byte for byte; another key only on demand, and then that one is shown."""
    first = ask(database, settings)
    again = ask(database, settings)
    assert (again.pem, again.key_file, again.repeated) == (first.pem, first.key_file, True)
    other = ask(database, settings, another=True)
    assert other.key_file != first.key_file
    assert ask(database, settings).key_file == other.key_file
    with database.read_tx() as session:
        assert {p.path for p in pending(session, settings)} == {first.key_file, other.key_file}


def test_two_at_once_make_one_key(database: Database, settings: Settings) -> None:
    """Two impatient operators upload the same request."""
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: ask(database, settings), range(2)))
    assert made[0].pem == made[1].pem
    assert len(list(settings.certs_dir.glob("*.key"))) == 1


def test_a_request_ends_with_its_certificate(
    database: Database, settings: Settings, now: datetime
) -> None:
    """The next one is for a renewal and has a key of its own, beside the one in use."""
    first = ask(database, settings)
    with database.write_tx() as session:
        answer(session, settings, first, now)
        assert pending(session, settings) == []
    with database.write_tx() as session:  # the team is known by now
        second = request(session, settings, pass_type=PASS_TYPE)
    assert second.key_file != first.key_file
    assert first.key_file.exists()


def test_pass_types_with_similar_names_are_told_apart(
    database: Database, settings: Settings
) -> None:
    """`pass.com.example.loyalty-gold` is not a pending request of `pass.com.example.loyalty`."""
    with database.write_tx() as session:
        other = request(session, settings, pass_type=f"{PASS_TYPE}-gold", team=TEAM)
    assert ask(database, settings).key_file != other.key_file


def test_a_long_name_makes_a_request(database: Database, settings: Settings) -> None:
    """X.509 allows 64 characters in a common name, Apple more in a pass type identifier."""
    name = "pass." + "long" * 37
    with database.write_tx() as session:
        made = request(session, settings, pass_type=name, team=TEAM)
        assert [p.pass_type for p in pending(session, settings)] == [name]
    assert x509.load_pem_x509_csr(made.pem).is_signature_valid


def test_wrong_names_are_refused(database: Database, settings: Settings, now: datetime) -> None:
    """No key is made for them."""
    made = ask(database, settings)
    with database.write_tx() as session:
        answer(session, settings, made, now)
    for pass_type, team, words in (
        ("loyalty", TEAM, "is not a pass type identifier"),
        ("pass.../../x", TEAM, "is not a pass type identifier"),
        (PASS_TYPE, "abc", "is not a team identifier"),
        ("pass.com.example.new", None, "say its team with --team"),
        (PASS_TYPE, "ZZZZZ12345", f"set up for the team {TEAM}, not ZZZZZ12345"),
    ):
        with pytest.raises(ConfigurationError, match=words), database.write_tx() as session:
            request(session, settings, pass_type=pass_type, team=team)
    assert list(settings.certs_dir.glob("*.key")) == [made.key_file]
