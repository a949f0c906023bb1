"""One HTTP/2 connection: requests in, Apple's answers or an armed failure out.

The protocol machine is `h2`. Three frames are written past it: GOAWAY, because `h2` lets
nothing follow it while Apple finishes the streams it accepted; SETTINGS, because the limit
of streams is enforced here, from the client's acknowledgement on and per stream (RFC 9113,
5.1.2), where `h2` would end the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import orjson
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import HeaderTuple, NeverIndexedHeaderTuple
from hyperframe.frame import GoAwayFrame, SettingsFrame

from walletsvc.emulators.apns import answers
from walletsvc.emulators.apns.answers import MAX_PAYLOAD, Request, Verdict
from walletsvc.emulators.apns.faults import Fault
from walletsvc.emulators.apns.state import State
from walletsvc.emulators.apns.tls import Link

_UNLIMITED: Final = 2**31 - 1
_MAX_HEADERS: Final = 65_536
# How long a client may take to leave after GOAWAY before it is disconnected.
_LINGER_SECONDS: Final = 0.5
# Failures that happen before the request is there in full.
_AT_ONCE: Final = ("goaway", "reset", "refuse", "close", "silent")

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stream:
    """A request on its way in, or one whose answer is still to come."""

    request: Request
    fault: Fault | None
    body: bytearray = field(default_factory=bytearray)
    # An answer's body that waits for the client's flow-control window.
    unsent: bytes = b""


class PushConnection:
    """A client's connection; see the module for what passes `h2` by."""

    def __init__(self, state: State, link: Link, topic: str | None) -> None:
        """`topic` is what the client's certificate covers."""
        self._state = state
        self._link = link
        self._topic = topic
        self._h2 = H2Connection(
            H2Configuration(
                client_side=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.gone = asyncio.Event()
        self.number = state.accept(topic)
        # Half open: nothing is read and nothing is written any more.
        self._silent = False
        self._streams: dict[int, _Stream] = {}
        # Streams that the client reset in what is being processed: h2 has closed them already.
        self._given_up: set[int] = set()
        # Announced stream limits that the client has not acknowledged; the one in force.
        self._announced: deque[int] = deque()
        self._limit = _UNLIMITED
        # The last stream that is still processed, once GOAWAY was sent.
        self._last: int | None = None
        self._highest = 0

    def opened(self) -> None:
        """Greet with our settings."""
        limit = self._state.max_concurrent_streams
        values = {SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEADERS}
        self._h2.local_settings = Settings(
            client=False, initial_values={**values, SettingCodes.MAX_CONCURRENT_STREAMS: limit}
        )
        self._h2.initiate_connection()
        self._h2.local_settings = Settings(
            client=False, initial_values={**values, SettingCodes.MAX_CONCURRENT_STREAMS: _UNLIMITED}
        )
        self._announced.append(limit)
        self._state.connections.add(self)
        self._flush()

    def lost(self) -> None:
        """The connection is gone, and with it every open stream."""
        self._state.connections.discard(self)
        self._state.lose(self._topic)
        self._streams.clear()
        self.gone.set()

    def received(self, data: bytes) -> None:
        """Take bytes in and answer what they complete, in one write."""
        if self._silent:
            return
        try:
            events = self._h2.receive_data(data)
            self._given_up = {event.stream_id for event in events if isinstance(event, StreamReset)}
            for event in events:
                self._on(event)
                if self._link.is_closed or self._silent:
                    return
        except ProtocolError as error:
            logger.info("a client broke HTTP/2: %s", error)
            self._flush()
            self._link.close()
            return
        self._flush()

    def announce_limit(self, limit: int) -> None:
        """Tell the client how many streams it may have open from now on."""
        self._announced.append(limit)
        self._write_past(
            SettingsFrame(0, settings={SettingCodes.MAX_CONCURRENT_STREAMS: limit}).serialize()
        )

    def go_away(self, reason: str, last: int | None = None) -> None:
        """Accept no streams above `last` (by default the highest so far), finish the others.

        `reason` goes into the frame as JSON, as Apple does it.
        """
        if self._last is None:
            self._last = self._highest if last is None else last
            frame = GoAwayFrame(
                0,
                last_stream_id=self._last,
                error_code=ErrorCodes.NO_ERROR,
                additional_data=orjson.dumps({"reason": reason}),
            )
            self._write_past(frame.serialize())
        self._leave_when_done()

    def release(self) -> None:
        """End it if it is half open; a silent connection cannot speak again."""
        if self._silent:
            self._link.abort()

    def _write_past(self, frame: bytes) -> None:
        if not self._silent:
            self._link.write(self._h2.data_to_send() + frame)

    def _flush(self) -> None:
        if not self._silent:
            self._link.write(self._h2.data_to_send())

    def _leave_when_done(self) -> None:
        if self._last is not None and not self._streams:
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._link.close)

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                stream = self._streams.get(event.stream_id)
                # One byte too many shows that it is too large: more is not kept.
                if stream is not None and len(stream.body) <= MAX_PAYLOAD:
                    stream.body += event.data[: MAX_PAYLOAD + 1 - len(stream.body)]
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self._complete(event.stream_id)
            case StreamReset():
                self._finished(event.stream_id)
            case SettingsAcknowledged() if self._announced:
                self._limit = self._announced.popleft()
            case WindowUpdated() | RemoteSettingsChanged():
                for stream_id in [key for key, stream in self._streams.items() if stream.unsent]:
                    self._send_body(stream_id)
            case ConnectionTerminated():
                self._link.close()
            case _:
                pass

    def _begin(self, event: RequestReceived) -> None:
        """A request's headers: what befalls it is decided here, while streams are in order."""
        stream_id = event.stream_id
        if self._last is not None and stream_id > self._last:
            return
        if len(self._streams) >= self._limit:
            self._reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        before, self._highest = self._highest, stream_id
        request = _request(event)
        fault = self._state.faults.take(request.token) if request.is_push else None
        if fault is None or fault.fault not in _AT_ONCE:
            self._streams[stream_id] = _Stream(request, fault)
            return
        self._record(request, None, request.headers.get("apns-id"), fault)
        if fault.fault == "silent":
            self._flush()
            self._silent = True
        elif fault.fault == "goaway":
            self.go_away(fault.reason, before)
        elif fault.fault == "close":
            self._flush()
            self._link.abort()
        else:
            refused = fault.fault == "refuse"
            self._reset(
                stream_id, ErrorCodes.REFUSED_STREAM if refused else ErrorCodes.INTERNAL_ERROR
            )

    def _record(
        self, request: Request, verdict: Verdict | None, apns_id: str | None, fault: Fault | None
    ) -> None:
        self._state.record(request, self._topic, self.number, verdict, apns_id, fault)

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        if stream_id not in self._given_up:
            self._h2.reset_stream(stream_id, code)

    def _complete(self, stream_id: int) -> None:
        """A request is there in full: judge it, log it, answer it now, later or never."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        request = stream.request.with_body(bytes(stream.body))
        fault = stream.fault
        apns_id = answers.message_id(request.headers)
        if fault is None or fault.fault == "slow":
            verdict = answers.judge(request, self._topic, self._state.devices)
        elif fault.fault == "hang":
            self._record(request, None, apns_id, fault)
            return
        else:
            verdict = self._state.fail(fault)
        self._record(request, verdict, apns_id, fault)
        if fault is not None and fault.fault == "slow":
            asyncio.get_running_loop().call_later(
                fault.seconds, self._answer_late, stream_id, stream, verdict, apns_id
            )
        else:
            self._answer(stream_id, verdict, apns_id)

    def _answer_late(self, stream_id: int, stream: _Stream, verdict: Verdict, apns_id: str) -> None:
        if self._streams.get(stream_id) is stream:
            self._answer(stream_id, verdict, apns_id)
            self._flush()

    def _answer(self, stream_id: int, verdict: Verdict, apns_id: str) -> None:
        if stream_id in self._given_up:
            return
        body = verdict.body()
        headers = [
            HeaderTuple(":status", str(verdict.status)),
            # Every answer has another id: remembering it would only push others out.
            NeverIndexedHeaderTuple("apns-id", apns_id),
        ]
        if body:
            headers.append(HeaderTuple("content-type", "application/json"))
        self._h2.send_headers(stream_id, headers, end_stream=not body)
        if body:
            self._streams[stream_id].unsent = body
            self._send_body(stream_id)
        else:
            self._finished(stream_id)

    def _send_body(self, stream_id: int) -> None:
        """Send an answer's body as far as the client's window allows."""
        if stream_id in self._given_up:
            return
        stream = self._streams[stream_id]
        room = self._h2.local_flow_control_window(stream_id)
        part, stream.unsent = stream.unsent[:room], stream.unsent[room:]
        if part:
            self._h2.send_data(stream_id, part, end_stream=not stream.unsent)
        if not stream.unsent:
            self._finished(stream_id)

    def _finished(self, stream_id: int) -> None:
        if self._streams.pop(stream_id, None) is not None:
            self._leave_when_done()


def _request(event: RequestReceived) -> Request:
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            repeated.add(name)
        headers[name] = value
    method, path = headers.pop(":method", ""), headers.pop(":path", "")
    return Request(method, path, headers, frozenset(repeated), b"")
