"""`walletsvc restore`: an installation out of a backup, on this machine or another.

Nothing is touched before everything was checked. The data is loaded beside what is there; one
transaction then exchanges the two, migrates, and puts right what phones must learn. Killed at
any point, the restore can be run again.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import click
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from walletsvc import app
from walletsvc import settings as settings_module
from walletsvc.apple.keyfiles import private_folder, write_private
from walletsvc.cli.backup import Progress, fingerprint, first_line, megabytes, say, stopped
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings
from walletsvc.storage import columns, data_dir, migrate
from walletsvc.storage.backup import archive, dump, target
from walletsvc.storage.embedded import exclusive

_STDIN: Final = "-"
_STAGING: Final = ".restore-"


class Opened(NamedTuple):
    """A backup that was checked and unpacked."""

    folder: Path
    manifest: archive.Manifest
    tables: frozenset[str]


class Restored(NamedTuple):
    """What came back, and the files that had to step aside."""

    right: app.PutRight
    aside: list[Path]


@click.command()
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--replace", is_flag=True, help="Replace the data that is there: all of it goes.")
@click.option("--check", is_flag=True, help="Only say whether FILE is whole; touch nothing.")
def restore(file: str, replace: bool, check: bool) -> None:
    """Bring back the installation that was backed up into FILE; `-` is standard input.

    Stop web and workers first. Settings say where to: an empty data directory, or the database
    of WALLETSVC_DATABASE_URL. Every phone is told afterwards to ask for its passes anew, so that
    none goes on showing what was lost. Killed half-way, it can simply be run again.
    """
    loaded = settings_module.load()
    signal.signal(signal.SIGTERM, stopped)
    try:
        if check:
            with tempfile.TemporaryDirectory(prefix="walletsvc-check-") as folder:
                opened = _unpack(file, Path(folder))
            click.echo(f"Whole and readable: {_about(opened.manifest)}.")
            return
        data_dir.prepare_data_dir(loaded.data_dir)
        with exclusive(loaded.data_dir, "up"), _staging(loaded.data_dir) as folder:
            opened = _unpack(file, folder)
            say(f"Restoring {_about(opened.manifest)}")
            restored = _restore(loaded, opened, replace=replace)
    except OSError as error:
        about = f" ({error.filename})" if error.filename else ""
        raise ConfigurationError(f"The restore failed: {error.strerror}{about}.") from error
    except SQLAlchemyError as error:
        raise ConfigurationError(f"The restore failed: {first_line(error)}") from error
    _what_next(loaded, opened.manifest, restored)


@contextmanager
def _staging(data_dir: Path) -> Iterator[Path]:
    """A private folder for what the backup holds; what a killed restore left goes too."""
    for leftover in data_dir.glob(f"{_STAGING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=data_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(file: str, folder: Path) -> Opened:
    if file == _STDIN:
        manifest = archive.unpack(sys.stdin.buffer, folder)
    else:
        with Path(file).open("rb") as stream:
            manifest = archive.unpack(stream, folder)
    return Opened(folder, manifest, dump.examine(folder / archive.DUMP))


def _about(manifest: archive.Manifest) -> str:
    return (
        f"the backup of {manifest.created_at:%Y-%m-%d %H:%M:%S UTC} "
        f"(walletsvc {manifest.walletsvc}, {manifest.public_url}, "
        f"{megabytes(manifest.database_bytes)}, secret key "
        f"{'included' if manifest.secret_included else 'not included'})"
    )


def _restore(loaded: Settings, opened: Opened, *, replace: bool) -> Restored:
    folder, manifest, tables = opened
    now = utcnow()
    if now < manifest.created_at:
        raise ConfigurationError(
            f"The clock of this machine ({now:%Y-%m-%d %H:%M:%S UTC}) is behind the backup's "
            f"({manifest.created_at:%Y-%m-%d %H:%M:%S UTC}): put it right first."
        )
    _unlock(loaded, folder, manifest)
    with app.open_database(loaded) as database, database.engine.connect() as connection:
        with migrate.alone(connection):
            with connection.begin():
                target.refuse_unfit(connection, manifest, tables, replace=replace)
            try:
                dump.load(database, folder / archive.DUMP, Progress("loading the database"))
                say("The data is loaded; putting it in place.")
                with connection.begin():
                    restored = _put_in_place(connection, loaded, folder, now)
            except BaseException:
                # Best effort: the next restore drops what this one leaves.
                with suppress(SQLAlchemyError), connection.begin():
                    dump.discard(connection)
                raise
        with connection.begin():
            connection.execute(text("ANALYZE"))
    return restored


def _unlock(loaded: Settings, folder: Path, manifest: archive.Manifest) -> None:
    """Load the secret that the backup was made with; raises ConfigurationError without it."""
    configured = loaded.secret_key is not None
    present = data_dir.known_secret(loaded)
    if present is not None:
        columns.unlock(present)
        if fingerprint() == manifest.secret_fingerprint:
            return
    if configured:
        raise ConfigurationError(
            "WALLETSVC_SECRET_KEY is not the secret that this backup was made with: "
            + ("unset it, the backup brings its own." if manifest.secret_included else "set that.")
        )
    if not manifest.secret_included:
        raise ConfigurationError(
            "The backup does not hold the secret key: set WALLETSVC_SECRET_KEY to the one it was "
            "made with."
        )
    columns.unlock((folder / archive.SECRET_FILE).read_text(encoding="utf-8"))
    if fingerprint() != manifest.secret_fingerprint:
        raise ConfigurationError("The secret key in the backup is not the one it was made with.")


def _put_in_place(
    connection: Connection, loaded: Settings, folder: Path, now: datetime
) -> Restored:
    """Everything that has to become true at once, in the caller's transaction."""
    dump.swap(connection)
    migrate.bring_forward(connection)
    stored = connection.execute(text("SELECT auth_token FROM passes LIMIT 1")).scalar()
    if stored is not None:
        columns.keyring().decrypt(stored)
    with Session(connection) as session:
        right = app.after_restore(session, now)
        session.flush()
    # Before the commit: data without its keys would be of no use, keys without data do no harm.
    return Restored(right, _place_keys(loaded, folder, now))


def _place_keys(loaded: Settings, folder: Path, now: datetime) -> list[Path]:
    """Write secret and keys where they belong; a file that differs steps aside."""
    aside = []
    certs = folder / archive.CERTS
    for path in sorted(certs.rglob("*")):
        if path.is_file():
            place = loaded.certs_dir / path.relative_to(certs)
            aside += _place(loaded, place, path.read_bytes(), now)
    secret = folder / archive.SECRET_FILE
    if secret.exists() and loaded.secret_key is None:
        aside += _place(loaded, loaded.secret_file, secret.read_bytes(), now)
    return aside


def _place(loaded: Settings, path: Path, content: bytes, now: datetime) -> list[Path]:
    if path != loaded.secret_file:
        for parent in (loaded.certs_dir, path.parent):
            _give(loaded, private_folder(parent))
    kept = []
    if path.exists() and path.read_bytes() != content:
        copy = path.with_name(f"{path.name}.before-restore-{now:%Y%m%d-%H%M%S}")
        write_private(copy, path.read_bytes())
        _give(loaded, copy)
        kept.append(copy)
    write_private(path, content)
    _give(loaded, path)
    return kept


def _give(loaded: Settings, path: Path) -> None:
    """Root may restore; the service that owns the data directory must be able to read."""
    owner = loaded.data_dir.stat()
    if os.geteuid() == 0 and path.stat().st_uid != owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid)


def _what_next(loaded: Settings, manifest: archive.Manifest, restored: Restored) -> None:
    passes, pushes, objects = restored.right
    click.echo(
        f"Restored the state of {manifest.created_at:%Y-%m-%d %H:%M:%S UTC}: {passes} "
        f"published pass(es); {pushes} push(es) wait to tell the phones."
    )
    if objects:
        click.echo(
            f"{objects} card(s) are sent to Google Wallet again. Give walletsvc the service "
            "account's key file (no backup holds it), and after the worker has started run "
            "walletsvc google reconcile: who saved a card since the backup is known there only."
        )
    for path in restored.aside:
        click.echo(f"Kept: {path} (it differed from the backup's)")
    if loaded.base_url != manifest.public_url:
        click.echo(
            f"NOTE: phones keep asking at {manifest.public_url}, and WALLETSVC_PUBLIC_URL is "
            f"{loaded.base_url}: keep the old address working and set it."
        )
    click.echo("Next: walletsvc doctor, walletsvc ledger verify, then start web and worker.")
    click.echo(
        "What was done after the backup is lost: cards issued since are unknown, API keys revoked "
        "since are valid again (docs/operations.md, Disaster recovery)."
    )
