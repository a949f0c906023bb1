"""`walletsvc backup` and `walletsvc restore`, as an operator meets them on a bad day."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlmodel import select

from tests.factories import make_member, make_shop
from tests.journeys import processes
from walletsvc.cli.main import walletsvc
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import Pass
from walletsvc.storage import columns
from walletsvc.storage.backup import archive
from walletsvc.storage.engine import Database
from walletsvc.storage.migrate import is_current

SECRET = "test-secret-key-that-is-long-enough-0001"


@dataclass
class Place:
    """A data directory and a database."""

    folder: Path
    database_url: str
    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: str, secret: str | None = None, stdin: bytes = b"") -> Result:
        """A command there; `secret` is what the environment gives."""
        for name, value in self.settings(secret).items():
            self.monkeypatch.setenv(f"WALLETSVC_{name.upper()}", value)
        if secret is None:
            self.monkeypatch.delenv("WALLETSVC_SECRET_KEY", raising=False)
        return CliRunner().invoke(walletsvc, list(words), input=stdin)

    def settings(self, secret: str | None = None) -> dict[str, str]:
        """What the environment says."""
        given = {"data_dir": str(self.folder), "database_url": self.database_url}
        return given if secret is None else {**given, "secret_key": secret}

    def query(self, statement: str) -> list[object]:
        """The first column of what a statement gives."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(statement))
            return [row[0] for row in cursor] if cursor.description else []

    def refuses(self, *words: str, secret: str | None = None) -> str:
        """Why a command fails; a deliberate error."""
        result = self.run(*words, secret=secret)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, ConfigurationError), result.exception
        return result.exception.detail


@pytest.fixture
def shop(
    database: Database, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Where the backup is made: a member, keys, a secret."""
    with database.write_tx() as session:
        make_member(session, make_shop(session, now), now)
    folder = tmp_path / "shop"
    (folder / "certs/roots").mkdir(parents=True)
    (folder / "certs/pass.test.key").write_text("a key")
    (folder / "certs/.being-written").write_text("half a k")
    (folder / "certs/roots/root.pem").write_text("a root")
    (folder / "secret_key").write_text(SECRET)
    yield Place(folder, database.conninfo, monkeypatch)
    columns.unlock(SECRET)


@pytest.fixture
def elsewhere(server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Where it is restored: nothing yet."""
    name = f"elsewhere_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
        yield Place(tmp_path / "elsewhere", url, monkeypatch)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def made(shop: Place, tmp_path: Path) -> Path:
    """A backup of the shop."""
    file = tmp_path / "shop.backup"
    result = shop.run("backup", str(file))
    assert result.exit_code == 0, result.output
    return file


def rewritten(file: Path, tmp_path: Path, **changes: object) -> Path:
    """The same backup with another manifest."""
    folder = tmp_path / f"rewritten-{secrets.token_hex(4)}"
    folder.mkdir()
    with file.open("rb") as stream:
        manifest = archive.unpack(stream, folder)
    other = folder / "other.backup"
    contents: dict[str, bytes | Path] = {name: folder / name for name in manifest.names}
    with other.open("wb") as stream:
        archive.pack(stream, manifest.model_copy(update=changes), contents)
    return other


def test_a_shop_lives_on_elsewhere(shop: Place, elsewhere: Place, made: Path) -> None:
    """Data, keys and secret; private; what is half-written stays behind."""
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert [path.name for path in made.parent.glob(".*")] == []
    checked = shop.run("restore", "--check", str(made))
    assert (checked.exit_code, checked.output[:5]) == (0, "Whole")
    elsewhere.monkeypatch.setenv("WALLETSVC_PUBLIC_URL", "https://new.example.com")
    result = elsewhere.run("restore", str(made))
    assert result.exit_code == 0, result.output
    assert "phones keep asking at http://127.0.0.1:8000" in result.output
    for path, content in (
        ("secret_key", SECRET),
        ("certs/pass.test.key", "a key"),
        ("certs/roots/root.pem", "a root"),
    ):
        assert (elsewhere.folder / path).read_text() == content
        assert stat.S_IMODE((elsewhere.folder / path).stat().st_mode) == 0o600
    assert not (elsewhere.folder / "certs/.being-written").exists()
    assert list(elsewhere.folder.glob(".restore-*")) == []
    database = Database(elsewhere.database_url)
    with database.read_tx() as session:
        assert len(session.exec(select(Pass.auth_token)).one()) > 20
    assert is_current(database)
    database.close()
    assert elsewhere.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^walletsvc'") == []
    verified = elsewhere.run("ledger", "verify")
    assert verified.exit_code == 0, verified.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can restore for somebody else")
def test_root_restores_for_the_owner_of_the_data_directory(elsewhere: Place, made: Path) -> None:
    """The service must be able to read its keys."""
    elsewhere.folder.mkdir()
    os.chown(elsewhere.folder, 65534, 65534)
    assert elsewhere.run("restore", str(made)).exit_code == 0
    for path in ("secret_key", "certs", "certs/pass.test.key", "certs/roots/root.pem"):
        assert (elsewhere.folder / path).stat().st_uid == 65534, path


def test_a_backup_can_be_piped(shop: Place, elsewhere: Place, tmp_path: Path) -> None:
    """Through a program that encrypts, say; nothing but the backup is on standard output."""
    piped = shop.run("backup", "-")
    assert piped.exit_code == 0, piped.output
    archive.unpack(io.BytesIO(piped.stdout_bytes), None)
    result = elsewhere.run("restore", "-", stdin=piped.stdout_bytes)
    assert result.exit_code == 0, result.output


def test_a_file_that_is_there_is_kept(shop: Place, made: Path) -> None:
    """Unless it is said otherwise."""
    before = made.read_bytes()
    assert "--force" in shop.refuses("backup", str(made))
    assert made.read_bytes() == before
    assert shop.run("backup", "--force", str(made)).exit_code == 0
    assert made.read_bytes() != before


def test_a_wrong_place_is_no_shop(shop: Place, tmp_path: Path) -> None:
    """A data directory without secret, or with another one, makes no backup that looks fine."""
    file = tmp_path / "none"
    wrong = Place(tmp_path / "wrong", shop.database_url, shop.monkeypatch)
    assert "WALLETSVC_DATA_DIR" in wrong.refuses("backup", str(file))
    assert not wrong.folder.exists()
    assert "WALLETSVC_SECRET_KEY" in shop.refuses("backup", str(file), secret="x" * 40)
    assert not file.exists()
    assert "cannot be written" in shop.refuses("backup", str(tmp_path / "no" / "folder"))


def test_a_full_disk_leaves_no_file(shop: Place, tmp_path: Path) -> None:
    """One clear line, and nothing that looks like a backup."""
    file = tmp_path / "full" / "shop.backup"
    file.parent.mkdir()
    command = f"ulimit -f 20; exec {sys.executable} -m walletsvc backup {file}"
    env = processes.environment(shop.folder, database_url=shop.database_url)
    result = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert list(file.parent.iterdir()) == []


def test_a_secret_of_the_environment_is_not_written(
    shop: Place, elsewhere: Place, tmp_path: Path
) -> None:
    """The backup says so, knows the right one again, and is of no use with another."""
    file = tmp_path / "shop.backup"
    result = shop.run("backup", str(file), secret=SECRET)
    assert "NOT the secret key" in result.output
    assert SECRET.encode() not in file.read_bytes()
    assert "does not hold the secret key" in elsewhere.refuses("restore", str(file))
    assert "is not the secret" in elsewhere.refuses("restore", str(file), secret="x" * 40)
    assert elsewhere.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]
    assert elsewhere.run("restore", str(file), secret=SECRET).exit_code == 0
    assert not (elsewhere.folder / "secret_key").exists()


def test_a_missing_private_key_is_told(shop: Place, tmp_path: Path) -> None:
    """Made on a host without the keys, the backup could not sign."""
    (pass_type,) = shop.query("SELECT id FROM pass_types")
    shop.query(
        "INSERT INTO signing_certificates (pass_type_id, state, fingerprint, certificate_pem,"
        " chain_pem, key_file, not_before, not_after, created_at)"
        f" VALUES ({pass_type}, 'active', 'f', '', '', 'gone.key', now(), now(), now())"
    )
    assert "gone.key" in shop.run("backup", str(tmp_path / "shop.backup")).output


def test_data_is_replaced_only_when_asked(shop: Place, elsewhere: Place, made: Path) -> None:
    """Then all of it; files that differ step aside."""
    elsewhere.run("restore", str(made))
    elsewhere.query("UPDATE passes SET serial = 'changed'")
    (elsewhere.folder / "certs/pass.test.key").write_text("another key")
    refused = elsewhere.refuses("restore", str(made))
    assert "--replace" in refused
    assert "passes" in refused or "accounts" in refused
    assert elsewhere.query("SELECT serial FROM passes") == ["changed"]
    result = elsewhere.run("restore", "--replace", str(made))
    assert result.exit_code == 0, result.output
    assert elsewhere.query("SELECT serial FROM passes") == shop.query("SELECT serial FROM passes")
    assert (elsewhere.folder / "certs/pass.test.key").read_text() == "a key"
    (aside,) = (elsewhere.folder / "certs").glob("*.before-restore-*")
    assert aside.read_text() == "another key"
    assert str(aside) in result.output


def test_a_restore_that_fails_at_the_end_changes_nothing(elsewhere: Place, made: Path) -> None:
    """The last step before the commit cannot be done: the old data is still there."""
    elsewhere.run("restore", str(made))
    elsewhere.query("UPDATE passes SET serial = 'still here'")
    shutil.rmtree(elsewhere.folder / "certs")
    (elsewhere.folder / "certs").write_text("in the way")
    assert "certs" in elsewhere.refuses("restore", "--replace", str(made))
    assert elsewhere.query("SELECT serial FROM passes") == ["still here"]
    assert elsewhere.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^walletsvc'") == []


def test_a_killed_restore_is_run_again(elsewhere: Place, made: Path) -> None:
    """Wherever it was: while loading, while putting in place."""
    env = processes.environment(elsewhere.folder, database_url=elsewhere.database_url)
    for line in ("Restoring", "The data is loaded"):
        with subprocess.Popen(
            processes.command("restore", str(made)), env=env, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            assert any(said.startswith(line) for said in process.stderr)
            process.kill()
    columns.unlock(SECRET)
    # The server notices a lost client a moment later.
    elsewhere.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    result = elsewhere.run("restore", str(made), "--replace")
    assert result.exit_code == 0, result.output
    assert elsewhere.query("SELECT count(*) FROM passes") == [1]
    assert list(elsewhere.folder.glob(".restore-*")) == []


def test_a_database_in_use_is_refused(elsewhere: Place, made: Path) -> None:
    """Web or workers would go on with what they know."""
    with psycopg.connect(elsewhere.database_url):
        assert "in use" in elsewhere.refuses("restore", str(made))


def test_a_database_that_others_share_is_refused(elsewhere: Place, made: Path) -> None:
    """Even with --replace: their tables are not ours to drop."""
    elsewhere.query("CREATE TABLE invoices (id int)")
    assert "invoices" in elsewhere.refuses("restore", "--replace", str(made))
    assert elsewhere.query("SELECT count(*) FROM invoices") == [0]


def test_what_cannot_fit_is_refused_before_anything_is_touched(
    elsewhere: Place, made: Path, tmp_path: Path
) -> None:
    """A newer schema, a newer server, a clock that lags behind, another secret inside."""
    for words, changes in (
        ("revision 9999", {"revision": "9999"}),
        ("PostgreSQL 99", {"server_version": 990000}),
        ("clock", {"created_at": utcnow() + timedelta(hours=1)}),
        ("is not the one it was made with", {"secret_fingerprint": "0" * 64}),
    ):
        other = rewritten(made, tmp_path, **changes)
        assert words in elsewhere.refuses("restore", str(other))
    assert elsewhere.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [0]
    assert not (elsewhere.folder / "certs").exists()


def test_a_damaged_file_is_refused(elsewhere: Place, made: Path) -> None:
    """By the check and by the restore."""
    made.write_bytes(made.read_bytes()[:-40_000])
    assert "cut off" in elsewhere.refuses("restore", "--check", str(made))
    assert "cut off" in elsewhere.refuses("restore", str(made))
