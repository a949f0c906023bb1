"""Groups of commands whose modules are imported when one of them is called.

All of the program takes seconds to import, and most commands and processes need little of it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from walletsvc.core.processes import keeping_all


class LazyGroup(click.Group):
    """A group that knows where its commands are: `modules` names for each the module within
    `walletsvc.cli` and the attribute, as in `shops:branch`."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **more: Any) -> None:
        super().__init__(*args, **more)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None when there is none."""
        place = self._modules.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, attribute = place.split(":")
        name = f"walletsvc.cli.{module}"
        if name not in sys.modules:
            with keeping_all():
                import_module(name)
        found: click.Command = getattr(sys.modules[name], attribute)
        return found


def commands_of(group: click.Group) -> dict[str, click.Command]:
    """All commands of a group by name, imported."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}
