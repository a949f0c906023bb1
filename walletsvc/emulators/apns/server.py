"""The emulator as a process: two listeners on loopback until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from walletsvc.core.errors import ConfigurationError
from walletsvc.emulators.apns.connection import PushConnection
from walletsvc.emulators.apns.control import Control
from walletsvc.emulators.apns.identity import create_identity
from walletsvc.emulators.apns.plain_http import MAX_HEAD, converse
from walletsvc.emulators.apns.state import State
from walletsvc.emulators.apns.tls import Link, Trust

HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
# How long connections may take to finish their answers when the emulator stops.
_STOP_SECONDS: Final = 2.0

logger = logging.getLogger(__name__)


def run(folder: Path, port: int, trust: Sequence[Path]) -> None:
    """Serve pushes on `port` and the control interface on the next one, until SIGTERM or SIGINT.

    `folder` holds the server's own certificate (made when missing, see `create_identity`);
    `trust` are PEM files with the authorities whose Pass Type ID certificates are accepted:
    they are read again whenever they change and need not exist yet. Call it in the main
    thread. Raises ConfigurationError when a port is taken or the folder cannot be written.
    """
    if not 1 <= port <= 65_534:
        raise ConfigurationError(
            f"The APNs emulator cannot use port {port}: it needs one from 1 to 65534"
            " and the one after it."
        )
    create_identity(folder)
    asyncio.run(_serve(Trust(folder, trust), port))


async def _serve(trust: Trust, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    state = State()
    control = Control(state)
    pushes = await _listen(
        port,
        lambda: Link(trust, lambda link, topic: PushConnection(state, link, topic)),
    )
    try:
        controls = await _listen(
            port + 1,
            lambda: asyncio.StreamReaderProtocol(
                asyncio.StreamReader(limit=MAX_HEAD),
                lambda reader, writer: converse(reader, writer, control.handle),
            ),
        )
    except ConfigurationError:
        pushes.close()
        raise
    logger.info("APNs emulator: pushes on https://%s:%d", HOST, port)
    logger.info("APNs emulator: control on http://%s:%d", HOST, port + 1)
    await stop.wait()
    pushes.close()
    controls.close()
    await _dismiss(state)
    logger.info("APNs emulator: stopped after %d requests", state.journal.last)


async def _listen(port: int, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(factory, HOST, port, backlog=_BACKLOG)
    except OSError as error:
        what = "is taken" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
        raise ConfigurationError(
            f"The APNs emulator cannot listen: port {port} on {HOST} {what}."
        ) from error


async def _dismiss(state: State) -> None:
    """Ask every client to leave, and give them a moment to do so."""
    for connection in tuple(state.connections):
        connection.go_away("Shutdown")
    leaving = [asyncio.ensure_future(connection.gone.wait()) for connection in state.connections]
    if leaving:
        await asyncio.wait(leaving, timeout=_STOP_SECONDS)
