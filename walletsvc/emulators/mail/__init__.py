"""A mail server on loopback that keeps what it is given: its log is the SMS emulator's.

It wants a log-in (`ACCOUNT`), and refuses what servers refuse: a sender outside its domain (553),
an address at `invalid` (550), and, the first time, one that begins with `later` (451).
"""

from walletsvc.emulators.mail.server import ACCOUNT, DOMAIN, MailEmulator

__all__ = ["ACCOUNT", "DOMAIN", "MailEmulator"]
