"""Dockerfile and compose.yaml keep step with the program: settings, commands, health, files.

No container engine is needed: what the files say is compared with the code, and the health
check's own command is run against a server.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.processes import free_port
from walletsvc.cli.group import commands_of
from walletsvc.cli.main import walletsvc
from walletsvc.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
DEPLOY = ROOT / "docs" / "deploy"


def instructions(name: str) -> list[str]:
    """The arguments of every such instruction of the Dockerfile."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name}\s+(.*)$", joined, re.MULTILINE)


@pytest.mark.parametrize(
    "path",
    [ROOT / "Dockerfile", ROOT / "compose.yaml", DEPLOY / "Caddyfile",
     *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda path: path.name,
)  # fmt: skip
def test_every_setting_that_is_named_exists(path: Path) -> None:
    """A misspelt one would stop the start, in the middle of the night."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | {f"{PREFIX}TEST_DATABASE_URL"}
    known |= {f"{PREFIX}TEST_LONG"}
    found = set(re.findall(r"\bWALLETSVC_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
    assert found <= known


def test_the_commands_exist() -> None:
    """Of the image and of every service."""
    (default,) = instructions("CMD")[-1:]
    services = re.findall(r"^\s+command: \[(\w+)\]", COMPOSE, re.MULTILINE)
    named = [*json.loads(default), *services]
    assert named == ["web", "migrate", "web", "worker"]
    assert set(named) <= set(commands_of(walletsvc))
    assert instructions("ENTRYPOINT") == ['["walletsvc"]']


def test_the_image_runs_as_nobody_in_particular() -> None:
    """A number, so that an orchestrator can see that it is not root; nothing is a moving tag."""
    (user,) = instructions("USER")
    uid, gid = (int(number) for number in user.split(":"))
    assert uid == gid > 1000
    assert f"--uid {uid}" in DOCKERFILE
    assert f"-o {uid}" in DOCKERFILE
    bases = {line.split()[0] for line in instructions("FROM")}
    assert len(bases) == 1
    (version,) = re.findall(r"^python:(\d+\.\d+)-slim", bases.pop())
    assert f"lib/python{version}/" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert ":latest" not in COMPOSE + DOCKERFILE


def test_what_is_copied_exists_and_is_let_through() -> None:
    """Sources in the repository, and past .dockerignore."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in instructions("COPY"):
        if "--from=" in line:
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


def test_only_the_proxy_is_reachable_and_its_file_exists() -> None:
    """Ports, the folder of what is mounted, and the network that is trusted."""
    services = re.split(r"^  (\w+):$", COMPOSE.split("\nservices:\n")[1], flags=re.MULTILINE)
    bodies = dict(zip(services[1::2], services[2::2], strict=True))
    assert [name for name, body in bodies.items() if "\n    ports:" in body] == ["proxy"]
    assert "./docs/deploy/Caddyfile:" in bodies["proxy"]
    (trusted,) = re.findall(r"WALLETSVC_TRUSTED_PROXIES: (\S+)", COMPOSE)
    assert f"subnet: {trusted}" in COMPOSE
    proxy = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert "/metrics" in proxy
    (port,) = instructions("EXPOSE")
    assert f"dynamic a web {port}" in proxy
    assert int(port) == Settings.model_fields["port"].default


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Healthy, and nothing else."""
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
        """Tests are quiet."""


@contextmanager
def serving() -> Iterator[int]:
    """A server that is healthy; its port."""
    with HTTPServer(("127.0.0.1", 0), _Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_the_health_check_tells_the_living_from_the_dead() -> None:
    """The very command of the image."""
    (line,) = instructions("HEALTHCHECK")
    program, *arguments = json.loads(line[line.index("[") :])
    assert program == "python"

    def check(port: int) -> int:
        env = {"WALLETSVC_PORT": str(port)}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=env, stderr=subprocess.DEVNULL).returncode

    with serving() as port:
        assert check(port) == 0
    assert check(free_port()) != 0
