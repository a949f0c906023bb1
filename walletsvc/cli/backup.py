"""`walletsvc backup`: everything an installation needs to live on elsewhere, in one file."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

import click
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from walletsvc import __version__, app
from walletsvc import settings as settings_module
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings
from walletsvc.storage import columns, data_dir
from walletsvc.storage.backup import archive, dump
from walletsvc.storage.embedded import exclusive
from walletsvc.storage.engine import Database

_STDOUT: Final = "-"
_REPORT_SECONDS: Final = 5.0


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--force", is_flag=True, help="Replace FILE when it is there.")
def backup(file: str, force: bool) -> None:
    """Write everything of this installation into FILE, while it runs; `-` is standard output.

    FILE holds the database of one moment (cards, ledger, templates, devices), the keys and
    certificates, and the secret key when it lives in the data directory. Who has it can sign
    passes in your name: keep it as you keep the keys, or encrypt it on the way
    (walletsvc backup - | age -r … > cards.age). It is checked before it gets its name.
    """
    loaded = settings_module.load()
    signal.signal(signal.SIGTERM, stopped)
    _load_secret(loaded)
    try:
        if file == _STDOUT:
            _to_stdout(loaded)
        else:
            _to_file(loaded, Path(file), force=force)
    except OSError as error:
        about = f" ({error.filename})" if error.filename else ""
        raise ConfigurationError(f"The backup cannot be written: {error.strerror}{about}.") from (
            error
        )
    except SQLAlchemyError as error:
        raise ConfigurationError(f"The backup failed: {first_line(error)}") from error


def _load_secret(loaded: Settings) -> None:
    secret = data_dir.known_secret(loaded)
    if secret is None:
        raise ConfigurationError(
            f"There is no secret key in {loaded.data_dir.absolute()}, so no installation lives "
            "there: check WALLETSVC_DATA_DIR and WALLETSVC_SECRET_KEY."
        )
    columns.unlock(secret)


def first_line(error: SQLAlchemyError) -> str:
    """What the database said, without the statement and its values."""
    said = str(getattr(error, "orig", None) or type(error).__name__)
    return said.strip().splitlines()[0]


def stopped(number: int, _frame: object) -> NoReturn:
    """A signal handler that leaves by the usual way out, so that nothing half-done stays."""
    raise SystemExit(128 + number)


def _to_stdout(loaded: Settings) -> None:
    if sys.stdout.isatty():
        raise ConfigurationError("A backup is no text for a terminal: name a file, or pipe it on.")
    with _workshop(loaded.data_dir, "stdout", loaded) as folder:
        _make(loaded, folder)
        with (folder / "archive").open("rb") as made:
            shutil.copyfileobj(made, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()


def _to_file(loaded: Settings, file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise ConfigurationError(f"{file} is there already; --force replaces it.")
    with _workshop(file.absolute().parent, file.name, loaded) as folder:
        manifest = _make(loaded, folder)
        if file.exists() and not force:
            raise ConfigurationError(f"{file} has appeared meanwhile; --force replaces it.")
        (folder / "archive").replace(file)
        _sync(file.absolute().parent)
    say(f"{file}: {megabytes(file.stat().st_size)}, complete and checked.")
    if manifest.secret_included:
        say("It holds private keys and the secret key: keep it where only you can read it.")
    else:
        say(
            "It holds private keys, but NOT the secret key, which comes from "
            "WALLETSVC_SECRET_KEY: keep that safe elsewhere, a restore needs it."
        )


@contextmanager
def _workshop(parent: Path, name: str, loaded: Settings) -> Iterator[Path]:
    """A private folder to work in, removed at the end; what a killed backup left goes too."""
    data_dir.prepare_data_dir(loaded.data_dir)
    with exclusive(loaded.data_dir, "backup"):
        for leftover in parent.glob(f".{name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{name}.partial-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _make(loaded: Settings, folder: Path) -> archive.Manifest:
    """Make `folder/archive` and read it back."""
    staged = folder / archive.DUMP
    staged.touch(0o600)
    now = utcnow()
    with app.open_database(loaded) as database:
        check_secret(database)
        snapshot = dump.dump(database, staged, Progress("dumping the database"))
        lacking = _lacking_keys(database, loaded)
    say(f"database: {megabytes(staged.stat().st_size)} of {megabytes(snapshot.database_bytes)}")
    dump.examine(staged)
    # After the dump: key files are written before the rows that name them and only added to,
    # so every key that the dump knows is among them.
    contents: dict[str, bytes | Path] = {archive.DUMP: staged, **_key_files(loaded)}
    if loaded.secret_key is None:
        contents[archive.SECRET_FILE] = loaded.secret_file.read_bytes()
    manifest = _manifest(loaded, snapshot, contents, now)
    made = folder / "archive"
    with os.fdopen(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as stream:
        archive.pack(stream, manifest, contents)
        stream.flush()
        os.fsync(stream.fileno())
        stream.seek(0)
        archive.unpack(stream, None)
    for name in lacking:
        say(f"WARNING: the private key {name} is not in {loaded.certs_dir}: back up from there.")
    return manifest


def _manifest(
    loaded: Settings,
    snapshot: dump.Snapshot,
    contents: dict[str, bytes | Path],
    now: datetime,
) -> archive.Manifest:
    return archive.Manifest(
        format=archive.FORMAT,
        walletsvc=__version__,
        revision=snapshot.revision,
        created_at=now,
        public_url=loaded.base_url,
        server_version=snapshot.server_version,
        database_bytes=snapshot.database_bytes,
        secret_included=archive.SECRET_FILE in contents,
        secret_fingerprint=fingerprint(),
        members=tuple(archive.describe(name, content) for name, content in contents.items()),
    )


def fingerprint() -> str:
    """By what the process's secret is recognised; it cannot be computed back."""
    return columns.keyring().derive_text(b"walletsvc backup fingerprint")


def check_secret(database: Database) -> None:
    """Raise ConfigurationError when the secret is not the one the database was written with."""
    with database.read_tx() as session:
        if session.execute(text("SELECT to_regclass('public.passes')")).scalar_one() is None:
            return
        stored = session.execute(text("SELECT auth_token FROM passes LIMIT 1")).scalar()
    if stored is not None:
        columns.keyring().decrypt(stored)


def _key_files(loaded: Settings) -> dict[str, bytes | Path]:
    """The files of the folder of certificates, hidden ones (being written) left out."""
    found: dict[str, bytes | Path] = {}
    for folder, folders, files in os.walk(loaded.certs_dir):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                inside = path.relative_to(loaded.certs_dir).as_posix()
                found[f"{archive.CERTS}{inside}"] = path.read_bytes()
    return found


def _lacking_keys(database: Database, loaded: Settings) -> list[str]:
    """Keys of active certificates that are not on this machine."""
    with database.read_tx() as session:
        named = session.execute(
            text("SELECT key_file FROM signing_certificates WHERE state = 'active'")
        ).scalars()
        return [name for name in named if not (loaded.certs_dir / name).is_file()]


def _sync(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Progress:
    """Says now and then how far a long step is."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._next = time.monotonic() + _REPORT_SECONDS

    def __call__(self, count: int) -> None:
        """`count` bytes are done."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_SECONDS
            say(f"{self._step}: {megabytes(count)} so far")


def say(line: str) -> None:
    """A line for the operator; standard output may be the backup itself."""
    click.echo(line, err=True)


def megabytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1_000_000:,.1f} MB"
