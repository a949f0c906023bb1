"""Where the certificates of authorities are: Apple's, and those of a development installation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

# Public certificates that come with the project.
REPOSITORY_CERTS: Final = Path(__file__).resolve().parents[2] / "certs"
INTERMEDIATE: Final = "development-wwdr"  # its files in an installation's own folder
