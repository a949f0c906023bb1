"""An independent client of the push service: `h2` over a blocking TLS socket."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
import requests
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from hyperframe.frame import Frame

from tests.contracts.chains import Credential

PATIENCE = 10.0


def new_token() -> str:
    """A device token of the usual length."""
    return secrets.token_hex(32)


@dataclass(frozen=True)
class Emulator:
    """Where a push emulator listens, and its control interface."""

    port: int
    ca_file: Path

    def control(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Call the control interface; the answer must have this status."""
        response = requests.request(
            method, f"http://127.0.0.1:{self.port + 1}{path}", json=body, timeout=PATIENCE
        )
        assert response.status_code == status, response.text
        return response.json()

    def arm(self, fault: str, **more: Any) -> None:
        """Arm a failure."""
        self.control("POST", "/_/faults", {"fault": fault, **more})

    def log(self, token: str) -> list[dict[str, Any]]:
        """What was received for a token."""
        entries: list[dict[str, Any]] = self.control("GET", f"/_/log?token={token}")
        return entries


@dataclass
class Answer:
    """What came back on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.headers[":status"])

    @property
    def reason(self) -> str | None:
        """The reason of a refusal."""
        return orjson.loads(self.body)["reason"] if self.body else None


class Client:
    """One connection; `answers`, `resets` and the rest fill up while waiting."""

    def __init__(
        self,
        emulator: Emulator,
        credential: Credential | None,
        settings: dict[SettingCodes | int, int] | None = None,
        tls: ssl.TLSVersion | None = None,
    ) -> None:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        context.set_alpn_protocols(["h2"])
        if tls is not None:
            context.maximum_version = tls
        if credential is not None:
            context.load_cert_chain(credential.certificate, credential.key)
        plain = socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE)
        try:
            self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        except BaseException:
            plain.close()
            raise
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.answers: dict[int, Answer] = {}
        self.resets: dict[int, int] = {}
        self.goaway: ConnectionTerminated | None = None
        self.limits: list[int] = []
        self.closed = False
        if settings:
            self.h2.local_settings.update(settings)
            self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.send()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self) -> None:
        """Send what the protocol machine has ready."""
        self.socket.sendall(self.h2.data_to_send())

    def open(
        self,
        path: str,
        headers: dict[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes | None = b"{}",
        method: str = "POST",
    ) -> int:
        """Start a request, complete unless `body` is None; returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "x")]
        given = list(headers.items()) if isinstance(headers, dict) else list(headers)
        self.h2.send_headers(stream, pseudo + given, end_stream=body == b"")
        self.answers[stream] = Answer()
        if body:
            self.finish(stream, body)
        self.send()
        return stream

    def finish(self, stream: int, body: bytes) -> None:
        """Send a request's body."""
        self.h2.send_data(stream, body, end_stream=True)
        self.send()

    def push(self, token: str, headers: Any = (), **more: Any) -> Answer:
        """Push and wait for the answer."""
        return self.answer(self.open(f"/3/device/{token}", headers, **more))

    def answer(self, stream: int) -> Answer:
        """Wait for a stream's answer."""
        self.wait(lambda: self.answers[stream].ended)
        return self.answers[stream]

    def wait(self, done: Callable[[], bool]) -> None:
        """Take in what comes until `done`; fails when the connection closes before."""
        while not done():
            data = self.socket.recv(65_536)
            if not data:
                self.closed = True
                assert done(), "the connection was closed"
                return
            self.take(data)
            self.send()

    def take(self, data: bytes) -> None:
        """Note what these bytes say."""
        for event in self.h2.receive_data(data):
            match event:
                case ResponseReceived():
                    headers = {str(name): str(value) for name, value in event.headers}
                    self.answers[event.stream_id].headers = headers
                case DataReceived():
                    self.answers[event.stream_id].body += event.data
                case StreamEnded():
                    self.answers[event.stream_id].ended = True
                case StreamReset():
                    self.resets[event.stream_id] = int(event.error_code)
                case ConnectionTerminated():
                    self.goaway = event
                case RemoteSettingsChanged():
                    changed = event.changed_settings.get(SettingCodes.MAX_CONCURRENT_STREAMS)
                    if changed is not None:
                        self.limits.append(changed.new_value)
                case _:
                    pass

    def frames(self) -> Iterator[Frame]:
        """Bare frames until the server closes, past `h2`, which takes GOAWAY for the end."""
        buffer = b""
        while data := self.socket.recv(65_536):
            buffer += data
            while len(buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(buffer[:9]))
                if len(buffer) < 9 + length:
                    break
                frame.parse_body(memoryview(buffer[9 : 9 + length]))
                buffer = buffer[9 + length :]
                yield frame
