"""The emulator put together: in a test's process, or as a process of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import orjson

from walletsvc.core.clock import Clock, utcnow
from walletsvc.core.closing import Closing
from walletsvc.core.errors import InputError
from walletsvc.emulators.google.http import HOST, Request, Response, Server
from walletsvc.emulators.sms import pages
from walletsvc.emulators.sms.apis import SmsAeroApi, SmscApi, SmsRuApi
from walletsvc.emulators.sms.calling_back import Callbacks
from walletsvc.emulators.sms.desk import ACCOUNTS, Desk
from walletsvc.emulators.sms.forms import body_of, fields_of

_WRITING: Final = ("smsc", "smsaero")  # those whose numbers can be written to


class SmsEmulator(Closing):
    """A running emulator; a context manager, so that a test ends it."""

    def __init__(self, port: int = 0, clock: Clock = utcnow) -> None:
        """Listens at once; port 0 is any free one. Raises ConfigurationError."""
        self.desk = Desk(clock)
        self._callbacks = Callbacks(self.desk)
        told = self._callbacks.delivered
        self._aero = SmsAeroApi(self.desk, told)
        self._smsc = SmscApi(self.desk, told)
        self._smsru = SmsRuApi(self.desk, told)
        self._server = Server(self._handle, port, "The SMS emulator")
        self.port = self._server.port
        self.base_url = f"http://{HOST}:{self.port}"

    def close(self) -> None:
        """Stop."""
        self._server.close()
        self._callbacks.close()

    def log(self) -> list[dict[str, Any]]:
        """What was sent, newest last."""
        with self.desk.lock:
            return list(self.desk.entries)

    def arm(self, fault: str, count: int = 1, gateway: str = "") -> None:
        """Let the next requests fail; see `desk.FAULTS`."""
        self.desk.arm(fault, count, gateway)

    def listen(self, gateway: str, **hooks: str) -> None:
        """Whom to tell of `status`, `inbound` and `call`: addresses, as an account's settings."""
        with self.desk.lock:
            self.desk.hooks.setdefault(gateway, {}).update(hooks)

    def report(self, url: str) -> int:
        """Tell there at once what became of all that sms.ru has; the status that was answered."""
        with self.desk.lock:
            sent = [each for each in self.desk.sent if each.gateway == "smsru"]
        return self._callbacks.reported(url, sent)

    def write(self, phone: str, text: str) -> int:
        """Somebody writes to the shop; the status its webhook answered, 0 when there is none."""
        for gateway in _WRITING:
            if self.desk.hooks.get(gateway, {}).get("inbound"):
                return self._callbacks.written(gateway, phone, text)
        return 0

    def call(self, phone: str, to: str) -> int:
        """Somebody calls a number; the status the webhook answered, 0 when nobody waits for it."""
        with self.desk.lock:
            now = self.desk.clock()
            waiting = [
                each
                for each in self.desk.calls
                if (each.phone, each.call_to) == (phone.lstrip("+"), to.lstrip("+"))
                and each.until > now
            ]
            if waiting:
                self.desk.calls.remove(waiting[-1])
        return self._callbacks.called(waiting[-1]) if waiting else 0

    def _handle(self, request: Request) -> Response | None:
        path = request.path
        if path.startswith("/_/"):
            return self._control(request)
        if path.startswith("/v2/"):
            return self._provider(self._aero, request)
        if path.startswith("/sys/"):
            return self._provider(self._smsc, request)
        if path.startswith(("/sms/", "/my/", "/callcheck/")):
            return self._provider(self._smsru, request)
        if path in ("/write", "/call") and request.method == "POST":
            fields = fields_of(request)
            if path == "/write":
                self.write(fields.get("from", ""), fields.get("text", ""))
            else:
                self.call(fields.get("from", ""), fields.get("to", ""))
            back = {"Location": f"/?lang={pages.language_of(request)}"}
            return Response(b"", 303, "text/plain", back)
        if path == "/":
            return pages.inbox(request, self.log())
        return _json({"error": "There is nothing at this address."}, 404)

    def _provider(self, api: SmsAeroApi | SmscApi | SmsRuApi, request: Request) -> Response | None:
        fault = self.desk.befalls(api.name, "cut", "429", "500", "503", "garbage")
        if fault == "cut":
            return None
        if fault == "garbage":
            return Response(b"<html>captcha</html>", 200, "text/html")
        if fault:
            return _json({"error": f"Emulated failure {fault}."}, int(fault))
        response = api.answer(request)
        return None if self.desk.befalls(api.name, "cut_after") else response

    def _control(self, request: Request) -> Response:
        what, given = request.path.removeprefix("/_/"), body_of(request)
        try:
            if what == "log":
                after = int(request.query.get("after", "0"))
                return _json([entry for entry in self.log() if entry["seq"] > after])
            if what == "faults":
                return self._faults(request, given)
            if what == "hooks":
                return self._hooks(given)
            if what == "inbound":
                return _json({"status": self.write(str(given["from"]), str(given["text"]))})
            if what == "call":
                return _json({"status": self.call(str(given["from"]), str(given["to"]))})
        except (InputError, KeyError, ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"error": "There is nothing at this address."}, 404)

    def _hooks(self, given: dict[str, Any]) -> Response:
        names = ("status", "inbound", "call")
        told = {name: str(given[name]) for name in names if name in given}
        if given.get("gateway") not in ACCOUNTS or not told:
            raise InputError(f"gateway: known are {', '.join(ACCOUNTS)}.")
        self.listen(given["gateway"], **told)
        return _json({"ok": True})

    def _faults(self, request: Request, given: dict[str, Any]) -> Response:
        if request.method == "POST":
            self.arm(
                str(given.get("fault")), int(given.get("count", 1)), str(given.get("gateway", ""))
            )
        with self.desk.lock:
            if request.method == "DELETE":
                self.desk.armed.clear()
            return _json([asdict(each) for each in self.desk.armed])


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status)
