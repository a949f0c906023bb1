"""The demo's shop behind real processes: database, web, worker, and the emulators beside them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.journeys import processes
from walletsvc.app import open_installation
from walletsvc.cli.demo import doors, post
from walletsvc.cli.demo.seed import seed
from walletsvc.cli.demo.shop import new_keys
from walletsvc.cli.emulate import sms_url
from walletsvc.settings import load

SECRET = "test-secret-key-that-is-long-enough-0001"  # as in all tests of a process


@dataclass(frozen=True)
class Street:
    """Where it is, where its messages can be read, its printed posters, keys of a till and of the
    office."""

    base_url: str
    messages_url: str
    posters: Path
    key: str
    office_key: str

    def till(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What a till asks for, and is given."""
        return self._call("POST", path, body, self.key)

    def office(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the shop's owner changes."""
        return self._call(method, path, body, self.office_key)

    def _call(self, method: str, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self.base_url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {key}", "Idempotency-Key": secrets.token_hex(8)},
            timeout=30,
        )
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def rings(self, caller: str, number: str) -> None:
        """Somebody calls the number, and the provider tells the shop."""
        answer = requests.post(
            f"{self.messages_url}/_/call", json={"from": caller, "to": number}, timeout=30
        )
        assert answer.json()["status"] == 200, answer.text


@contextmanager
def running(folder: Path) -> Iterator[Street]:
    """From nothing to a shop that takes people in; everything ends with the block."""
    first = processes.free_port(6)
    values: dict[str, Any] = {
        "data_dir": folder,
        "port": first + 5,
        "emulator_port": first,
        "apns_url": f"https://127.0.0.1:{first}",
        "apns_ca_file": folder / "emulators" / "ca.pem",
        "secret_key": SECRET,
        "log_level": "warning",
    }
    env = processes.environment(folder, **values)
    loaded = load(**values)
    with ExitStack() as stack:
        with open_installation(loaded) as installation:
            shop = seed(installation)
            doors.print_posters(installation, shop)
            keys = new_keys(installation, shop)
            emulators = processes.start(env, "emulators")
            stack.callback(processes.end, emulators)
            _await(f"{sms_url(first)}/_/log")
            post.open_accounts(installation)
            service = processes.start(env, "up")
            stack.callback(processes.end, service)
            processes.wait_until_up(service)
        posters = folder / doors.FOLDER
        yield Street(loaded.base_url, sms_url(first), posters, keys.first_till, keys.chain)


def _await(url: str) -> None:
    deadline = time.monotonic() + processes.START_SECONDS
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            pass  # not yet
        time.sleep(0.05)
    raise AssertionError("the emulators did not start")
