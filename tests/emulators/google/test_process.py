"""The emulator as a part of `walletsvc emulators`, and keys for it from the command line."""

from __future__ import annotations

import json
import random
import signal
import socket
import stat
import time
from contextlib import ExitStack
from pathlib import Path

import requests
from click.testing import CliRunner

from tests.emulators.google.client import Client, accepted
from tests.journeys import processes
from walletsvc.cli.main import walletsvc
from walletsvc.emulators.google import GoogleEmulator, ensure_key


def _free_ports() -> int:
    """The first of three neighbouring free ports."""
    while True:
        port = random.randrange(10_000, 32_000)
        with ExitStack() as stack:
            try:
                for number in range(5):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port + number))
            except OSError:
                continue
            return port


def test_the_command_serves_google_two_ports_above(tmp_path: Path) -> None:
    """A key from the command line opens it; it ends at once and cleanly."""
    port = _free_ports()
    env = processes.environment(tmp_path / "data", emulator_port=port)
    url = f"http://127.0.0.1:{port + 2}"
    process = processes.start(env, "emulators")
    try:
        key_file = tmp_path / "key.json"
        words = ["emulators", "google-key", str(key_file), "--issuer", "777"]
        # As somebody has it who set everything up before: the setting names the very file.
        named = env | {"WALLETSVC_GOOGLE_KEY_FILE": str(key_file)}
        made = CliRunner().invoke(walletsvc, words, env=named, catch_exceptions=False)
        assert made.exit_code == 0, made.output
        assert f"WALLETSVC_GOOGLE_URL={url}" in made.output
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        key = json.loads(key_file.read_text())
        assert key["token_uri"] == f"{url}/token"
        _await(f"{url}/_/state", process.poll)
        emulator = type("Remote", (), {"base_url": url})()
        with Client(emulator, key, "777") as client:
            client.insert("loyaltyClass", client.loyalty_class())
            client.insert("loyaltyObject", client.loyalty_object())
            accepted(client.call("GET", f"loyaltyObject/{client.object_id}"))
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    with GoogleEmulator(folder=tmp_path / "data" / "emulators" / "google") as again:
        assert again.resource(client.object_id)["state"] == "active"


def _await(url: str, ended: object) -> None:
    deadline = time.monotonic() + processes.START_SECONDS
    while time.monotonic() < deadline:
        assert not callable(ended) or ended() is None
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def test_a_key_is_kept_while_it_fits(tmp_path: Path) -> None:
    """A demo that is started again goes on with its key; another port needs another."""
    file = tmp_path / "key.json"
    folder = tmp_path / "google"
    ensure_key(folder, "http://127.0.0.1:1", file)
    first = file.read_bytes()
    ensure_key(folder, "http://127.0.0.1:1", file)
    assert file.read_bytes() == first
    ensure_key(folder, "http://127.0.0.1:2", file)
    assert json.loads(file.read_bytes())["token_uri"] == "http://127.0.0.1:2/token"
