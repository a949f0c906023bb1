"""SMS Aero, SMSC and sms.ru, on loopback: they refuse what the real ones refuse.

One port: the three APIs at their own paths (`/v2/…`, `/sys/….php`, `/sms/…`), an inbox that a
person can read (`/`), and a control interface:

    GET  /_/log?after=                 what was sent, newest last: to, text, at, gateway, channel
    GET, POST, DELETE /_/faults        {"fault": "503", "count": 2, "gateway": "smsc"}
    POST /_/hooks                      {"gateway": "smsc", "inbound": "http://…", "call": "…"}
    POST /_/inbound                    {"from": "+7…", "text": "БАЛАНС"}: somebody writes to us
    POST /_/call                       {"from": "+7…", "to": "+7…"}: somebody calls the number

Webhooks are called as the providers do, in a thread of their own. Delivered at once is what is
sent; the faults `undelivered` and `silent` make it otherwise. Accounts are `ACCOUNTS`.
"""

from walletsvc.emulators.sms.desk import ACCOUNTS
from walletsvc.emulators.sms.server import SmsEmulator

__all__ = ["ACCOUNTS", "SmsEmulator"]
