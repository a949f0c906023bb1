"""Apple's push service for Wallet, on loopback.

HTTP/2 over TLS on the port, with a client certificate as Apple demands it; beside it, on the
next port, a plain HTTP/1.1 control interface to see what arrived and to break things:

    GET  /_/log?after=&token=&wait=&limit=   what was received, newest last; `wait` is a long poll
    GET  /_/faults                           what is armed
    POST /_/faults                           {"fault": "TooManyRequests", "count": 2}
    DELETE /_/faults                         disarm everything
    GET  /_/settings                         the settings in force
    POST /_/settings                         {"max_concurrent_streams": 20}
    POST /_/devices                          {"topic": "pass.example"} mints a device token
    POST /_/devices/<token>/unregister       pushes to it are answered 410 from now on
"""

from walletsvc.emulators.apns.identity import create_identity
from walletsvc.emulators.apns.server import run

__all__ = ["create_identity", "run"]
