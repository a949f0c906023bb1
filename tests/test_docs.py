"""The manual says what the program does: generated pages are current, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from walletsvc.cli import reference
from walletsvc.cli.main import walletsvc

ROOT = Path(__file__).parent.parent


def test_every_setting_is_documented() -> None:
    """docs/settings.md is what `make docs` would write."""
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert page == reference.settings_page(), "run `make docs`"


def test_every_command_is_documented() -> None:
    """docs/commands.md is what `make docs` would write."""
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert page == reference.commands_page(walletsvc), "run `make docs`"


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    """A page that was moved must not be linked from its old place."""
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
