"""Google Wallet, on loopback, as harsh as Google where that is known and harsher where it is not.

One port: the REST API (`/walletobjects/v1`, `/batch`), the token endpoint (`/token`), the save
page (`/gp/v/save/<jwt>`), the key server (`/gp/m/issuer/keys`), and a control interface:

    GET  /_/log?after=&wait=&limit=    what was asked, newest last; `wait` is a long poll
    GET  /_/buzzes?after=&objectId=    what would have buzzed, newest last
    GET  /_/callbacks                  callbacks: the message, how often tried, the last status
    GET  /_/objects/<id>               a class or object as it is kept
    GET  /_/state                      counts, clock, quota, faults
    GET, POST, DELETE /_/faults        {"fault": "503", "count": 2, "resource": "loyaltyObject"}
    GET, POST /_/quota                 {"requests_per_second": 20, "burst": 20}
    GET, POST /_/clock                 {"advance_seconds": 86400} or {"at": "2030-01-01T00:00:00Z"}
    GET, POST /_/switches              {"review_at_once": false, "check_images": true}
    POST /_/tokens                     {"revoke": true} or {"lifetime": 5}
    POST /_/save, /_/remove            {"objectId": "..."}: as the button on the page does
    POST /_/issuers                    {"issuerId": "...", "merchantLocations": true}
    POST /_/classes/<id>/review        {"status": "approved"} or rejected

In a test:

    with GoogleEmulator() as google:
        key = google.account()           # a service account's key, invited as WRITER
        ...                              # the API is at google.base_url
        google.save(object_id)           # hasUsers, and the callback
        google.arm("hang_after", resource="loyaltyObject", method="PATCH")

Harsh on purpose, where the truth is not known: an update with NOTIFY_ON_UPDATE buzzes whenever
it names an allow-listed field, also with an equal value; a message with TEXT_AND_NOTIFY buzzes
whenever a request names it, also in a PATCH of `messages`, and twice when it is added twice; a
class cannot be updated without naming its `reviewStatus`; `classId` of an object cannot change;
an eleventh message is refused; parts of a batch are applied in any order.
"""

from walletsvc.emulators.google.accounts import DEFAULT_ISSUER, ensure_key, write_key
from walletsvc.emulators.google.server import GoogleEmulator

__all__ = ["DEFAULT_ISSUER", "GoogleEmulator", "ensure_key", "write_key"]
