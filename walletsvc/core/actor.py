"""Who caused something: carried by every write, kept on every ledger transaction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """`kind` is api-key, staff, customer or system; `id` is public and never a secret."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


SYSTEM = Actor("system", "walletsvc")
