"""Names within quotation marks, as Russian sets them."""

from __future__ import annotations


def nested(name: str) -> str:
    """A name as it stands between «»: quotes within it become „“, and one that is quoted as a
    whole loses its own."""
    if name.startswith("«") and name.find("»") == len(name) - 1 and name.count("«") == 1:
        return name[1:-1]
    return name.replace("«", "„").replace("»", "“")
