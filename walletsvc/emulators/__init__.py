"""The outside world on loopback: stand-ins for the services that walletsvc talks to.

An emulator answers as the real service does, keeps a log of what it received and can be told
to fail in a named way, so that a test, a demo or a person can watch and break the outside.
Emulators import only `walletsvc.core` and only the command line starts them: written apart
from the clients that talk to them, the two cannot share a bug.
"""
