"""Private keys on disk: a folder only we can enter, files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from walletsvc.core.errors import ConfigurationError


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner can enter (0700), also when it was there before.

    Raises ConfigurationError when it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"The folder for keys, {folder}, cannot be made private: {error.strerror}. "
            "Check the owner of WALLETSVC_DATA_DIR."
        ) from error
    return folder


def write_private(path: Path, data: bytes) -> None:
    """Write a file (0600) so that a crash leaves the old one or the new one, never half.

    Raises ConfigurationError when the disk refuses.
    """
    try:
        # mkstemp creates with 0600, so the key is never readable by others, not even briefly.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
