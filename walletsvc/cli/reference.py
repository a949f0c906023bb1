"""The generated part of the manual: every setting and every command, from their own definitions.

`make docs` writes both pages; a test compares them with what is in the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from walletsvc.cli.group import commands_of
from walletsvc.settings import PREFIX, Settings


def settings_page() -> str:
    """`docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Environment variables, read once at start. Every setting can also be read from a file:",
        "`WALLETSVC_SECRET_KEY_FILE=/run/secrets/key` reads `WALLETSVC_SECRET_KEY` from there.",
        "A bad value, or a `WALLETSVC_` name that is none, stops the start with a clear line.",
        "",
        "| Setting | Type | Default | Meaning |",
        "|---|---|---|---|",
    ]
    for name, info in Settings.model_fields.items():
        default = "" if info.default in (None, "") else f"`{info.default}`"
        meaning = (info.description or "").replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {_type(info)} | {default} | {meaning} |")
    return "\n".join([*lines, ""])


def commands_page(root: click.Group) -> str:
    """`docs/commands.md`."""
    lines = [
        "# Commands",
        "",
        "Every command has `--help`. One that fails says why in one clear line and exits with",
        "1; one that is called with wrong options shows its usage and exits with 2.",
        "",
    ]
    for name, command in _walk(root, "walletsvc"):
        context = click.Context(command, info_name=name)
        lines += [f"## `{name}`", "", (command.help or "").strip(), ""]
        lines += ["```", command.get_usage(context)]
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record:
                lines.append(f"  {record[0]:<28} {record[1]}")
        lines += ["```", ""]
    return "\n".join(lines)


def _walk(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in sorted(commands_of(group).items()):
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                found.append((f"{path} {name}", command))
            found += _walk(command, f"{path} {name}")
        else:
            found.append((f"{path} {name}", command))
    return found


def _type(info: FieldInfo) -> str:
    kinds = list(get_args(info.annotation) or (info.annotation,))
    if get_origin(info.annotation) is Literal:
        return " or ".join(f"`{kind}`" for kind in kinds)
    names = {"SecretStr": "secret text", "str": "text", "int": "whole number", "float": "number",
             "Path": "path"}  # fmt: skip
    return names.get(getattr(kinds[0], "__name__", ""), "text")


def write(folder: Path, root: click.Group) -> None:
    """Write both pages into `folder`."""
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")
    (folder / "commands.md").write_text(commands_page(root), encoding="utf-8")
