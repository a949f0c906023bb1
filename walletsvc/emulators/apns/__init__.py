"""Apple's push service for Wallet, on loopback.

HTTP/2 over TLS on the port, with a client certificate as Apple demands it; beside it, on the
next port, a plain HTTP/1.1 control interface to see what arrived and to break things:

    GET  /_/log?after=&token=&wait=&limit=   what was received, newest last; `wait` is a long poll
    GET  /_/faults                           what is armed
    POST /_/faults                           {"fault": "TooManyRequests", "count": 2}
    DELETE /_/faults                         disarm everything, end half-open connections
    GET  /_/settings                         the settings in force
    POST /_/settings                         {"max_concurrent_streams": 20}
    GET  /_/connections                      how many were accepted and are open, by topic
    POST /_/devices                          {"topic": "pass.example"} mints a device token
    POST /_/devices/<token>/unregister       pushes to it are answered 410 from now on

A fault is any reason of Apple's (its status follows from it), or one of `goaway`, `reset`,
`refuse`, `close`, `hang`, `slow`, `silent` (see `faults.TRANSPORT`); it befalls the next
`count` pushes, to one `token` if that is given. `slow` takes `seconds`, `goaway` the `reason`
in its frame, the reasons of 410 a `timestamp`. A lowered `max_concurrent_streams` is announced
on open connections as well. Every line of the log has the number of its connection.
"""

from walletsvc.emulators.apns.identity import create_identity
from walletsvc.emulators.apns.server import run

__all__ = ["create_identity", "run"]
