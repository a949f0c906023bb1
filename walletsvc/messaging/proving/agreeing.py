"""What a proof of a phone says of consents."""

from __future__ import annotations

from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose
from walletsvc.people.consents.models import ConsentText, Purpose


def proves(proof: PhoneProof, text: ConsentText) -> bool:
    """Whether the proof proves an agreement to the text. A form showed what it asks for; of a code
    at a till nobody can say that it agrees to advertising which its message did not name."""
    if proof.purpose is not ProofPurpose.TILL or text.purpose is Purpose.DATA:
        return True
    return text.public_id in proof.texts
