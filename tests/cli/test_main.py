"""The commands as a whole."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import click

from walletsvc import cli
from walletsvc.cli.group import commands_of
from walletsvc.cli.main import walletsvc


def reachable(group: click.Group) -> Iterator[click.Command]:
    """Every command that somebody can call."""
    for command in commands_of(group).values():
        yield command
        if isinstance(command, click.Group):
            yield from reachable(command)


def defined() -> dict[int, tuple[str, click.Command]]:
    """Every command that some module defines, by identity, with a name for people."""
    found: dict[int, tuple[str, click.Command]] = {}
    for info in pkgutil.walk_packages(cli.__path__, "walletsvc.cli."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, click.Command):
                found.setdefault(id(value), (f"{info.name}.{name}", value))
    return found


def test_commands_are_called_by_their_names() -> None:
    """The groups name the modules of their commands beside the commands themselves."""
    groups = [walletsvc, *(each for each in reachable(walletsvc) if isinstance(each, click.Group))]
    named = {name: each.name for group in groups for name, each in commands_of(group).items()}
    assert len(named) > 30
    assert all(name == own for name, own in named.items())


def test_no_command_hides_another() -> None:
    """A second command of the same name in a group would silently replace the first."""
    seen = Counter(id(command) for command in reachable(walletsvc))
    hidden = [
        name
        for key, (name, command) in defined().items()
        if command is not walletsvc and not seen[key]
    ]
    assert hidden == []
    assert [count for count in seen.values() if count > 1] == []


def test_a_command_imports_no_other() -> None:
    """The emulators need a sixth of the program; to refuse a word that is no command, none."""
    script = """
import sys
from walletsvc.cli import main
try:
    main.main()
finally:
    print(*(name for name in sys.modules if name.startswith("walletsvc.")), file=sys.stdout)
"""

    def imported(*words: str) -> set[str]:
        run = [sys.executable, "-c", script, *words]
        ran = subprocess.run(run, capture_output=True, text=True, timeout=60)
        found = set(ran.stdout.split())
        assert "walletsvc.cli.main" in found, ran.stderr
        return found

    heavy = {"walletsvc.app", "walletsvc.storage.engine"}
    assert not imported("no-command") & heavy
    passes = imported("passes", "--nothing")
    assert "walletsvc.cli.passes" in passes
    assert "walletsvc.cli.cards" not in passes
    with_key = imported("emulators", "google-key", "--nothing")
    assert "walletsvc.emulators.google" in with_key
    assert not with_key & heavy
