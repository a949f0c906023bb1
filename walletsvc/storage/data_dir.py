"""The folder an installation keeps beside its database, and the secret key in it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings


def prepare_data_dir(folder: Path) -> None:
    """Make the data directory, for its owner only; raises ConfigurationError when it cannot be
    written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"WALLETSVC_DATA_DIR: cannot write to {folder.absolute()} ({error.strerror}); "
            "make it writable or name another folder."
        ) from error


def known_secret(settings: Settings) -> str | None:
    """The configured secret, or the one in the data directory; None when there is none yet."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    try:
        return settings.secret_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def secret_key(settings: Settings) -> str:
    """The configured secret, or the one generated into the data directory on first use."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.secret_file
    draft = path.with_name(f".secret_key-{os.getpid()}-{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link, not a rename: of several processes starting together the first one wins.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")
