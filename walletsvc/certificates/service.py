"""What can be done with gift certificates. Each verb runs inside the caller's transaction.

Whoever changes a certificate first locks its account and then reads the certificate anew, so
that of two who meet one sees what the other did: nobody spends what was just blocked, and what
was paid out is not spent as well. A certificate's own row is never locked first.
"""

from walletsvc.certificates.issuing import issue, top_up
from walletsvc.certificates.life import block, hand_over, note_expired, unblock
from walletsvc.certificates.redeeming import pay_out, redeem, refund
from walletsvc.certificates.states import require_spendable
from walletsvc.certificates.undoing import cancel, require_not_certificates, undo_payout

__all__ = [
    "block",
    "cancel",
    "hand_over",
    "issue",
    "note_expired",
    "pay_out",
    "redeem",
    "refund",
    "require_not_certificates",
    "require_spendable",
    "top_up",
    "unblock",
    "undo_payout",
]
