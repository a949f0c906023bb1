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

    @classmethod
    def parse(cls, text: str) -> Actor:
        """The actor that was written down as `str(actor)`."""
        kind, _, id_ = text.partition(":")
        return cls(kind, id_)


SYSTEM = Actor("system", "walletsvc")
OPERATOR = Actor("system", "command-line")
