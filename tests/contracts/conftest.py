"""Fixtures of the contract tests: a look-alike of Apple's chain, a running push emulator."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contracts.apns_client import Client, Emulator
from tests.contracts.chains import Chain, Credential

TOPIC = "pass.com.example.loyalty"

_RUN = """
import logging, sys
from pathlib import Path
from walletsvc.core.errors import ConfigurationError
from walletsvc.emulators.apns import run
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
try:
    run(Path(sys.argv[1]), int(sys.argv[2]), [Path(path) for path in sys.argv[3:]])
except ConfigurationError as error:
    sys.exit(error.detail)
"""


def start_emulator(folder: Path, port: int, trust: list[Path]) -> subprocess.Popen[str]:
    """The push emulator as a process of its own; its log is in its standard error."""
    with (folder.parent / f"{folder.name}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, str(folder), str(port), *map(str, trust)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def free_ports() -> int:
    """A port that is free together with the next four: emulators take so many.

    Below the ports that systems give to outgoing connections, or one of these could take it
    (even the one that asks whether the server is up).
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with ExitStack() as stack:
            try:
                for number in range(5):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + number))
            except OSError:
                continue
            return port


def await_listening(process: subprocess.Popen[str], port: int) -> bool:
    """Whether the process listens on the port; False when it ended instead."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return True
    return False


@pytest.fixture(scope="session")
def apple_chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The chain that the push emulator trusts."""
    return Chain(tmp_path_factory.mktemp("chain"), "Look-alike")


@pytest.fixture(scope="session")
def running_emulator(
    tmp_path_factory: pytest.TempPathFactory, apple_chain: Chain
) -> Iterator[Emulator]:
    """A push emulator for all tests of this process."""
    folder = tmp_path_factory.mktemp("apns")
    while True:
        port = free_ports()
        process = start_emulator(folder, port, [apple_chain.root, apple_chain.wwdr])
        if await_listening(process, port + 1):
            break
        process.communicate()
    yield Emulator(port, folder / "ca.pem")
    process.terminate()
    assert process.wait(10) == 0
    assert process.communicate()[0] == ""


@pytest.fixture
def emulator(running_emulator: Emulator) -> Emulator:
    """The push emulator with nothing armed and Apple's usual limit of streams."""
    running_emulator.control("DELETE", "/_/faults")
    running_emulator.control("POST", "/_/settings", {"max_concurrent_streams": 100})
    return running_emulator


@pytest.fixture(scope="session")
def credential(apple_chain: Chain) -> Credential:
    """The certificate for TOPIC."""
    return apple_chain.issue(TOPIC)


@pytest.fixture
def client(emulator: Emulator, credential: Credential) -> Iterator[Client]:
    """A connection with the certificate for TOPIC."""
    with Client(emulator, credential) as client:
        yield client
