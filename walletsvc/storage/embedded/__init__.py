"""A real PostgreSQL in the data directory, for installations that name no database server.

The binaries come from a wheel; starting, sharing and stopping them is done here. Who may do
what is decided by `flock`s, because the kernel drops them with the process that held them:
nothing has to be cleaned up after a SIGKILL or a power cut.
"""

from walletsvc.storage.embedded.locks import exclusive
from walletsvc.storage.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "exclusive"]
