"""The three APIs as their documents describe them; where they are silent, strict."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import orjson

from walletsvc.emulators.google.http import Request, Response
from walletsvc.emulators.sms.desk import ACCOUNTS, Desk, Refused, Sms, sms_id
from walletsvc.emulators.sms.forms import fields_of

Told = Callable[[Sms], None]

_AERO_STATUS: Final = {"under_way": 0, "delivered": 1, "failed": 2}
_SMSC_STATUS: Final = {"under_way": 0, "delivered": 1, "failed": 20}
_SMSRU_STATUS: Final = {"under_way": 102, "delivered": 103, "failed": 105}
_SMSC_ERRORS: Final = {
    "method": 1, "key": 2, "money": 3, "sender": 6, "refused": 6, "phone": 7, "text": 1, "often": 9,
}  # fmt: skip
_SMSRU_ERRORS: Final = {
    "key": 200, "money": 201, "phone": 202, "text": 203, "sender": 204, "refused": 207,
    "often": 231, "method": 211,
}  # fmt: skip
_AERO_ERRORS: Final = {
    "money": "Not enough money", "phone": "Validation error.", "text": "Validation error.",
    "sender": "Sign is not approved", "refused": "Number is in the black list",
    "method": "Method not found", "key": "Your request was made with invalid credentials. auth",
}  # fmt: skip


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status)


class SmsAeroApi:
    """`/v2/…`: JSON or form, HTTP Basic."""

    name = "smsaero"

    def __init__(self, desk: Desk, told: Told) -> None:
        self._desk = desk
        self._told = told

    def answer(self, request: Request) -> Response:
        """The answer to a request that is this API's."""
        try:
            self._let_in(request)
            data = self._do(request.path.removeprefix("/v2/"), fields_of(request))
        except Refused as refused:
            status = {"key": 401, "money": 402, "method": 404}.get(refused.why, 400)
            message = _AERO_ERRORS.get(refused.why, "Validation error.")
            return _json({"success": False, "data": None, "message": message}, status)
        return _json({"success": True, "data": data, "message": None})

    def _let_in(self, request: Request) -> None:
        own = ACCOUNTS[self.name]
        wanted = base64.b64encode(f"{own['email']}:{own['api_key']}".encode()).decode()
        given = request.headers.get("authorization", "")
        if given != f"Basic {wanted}" or self._desk.befalls(self.name, "wrong_key"):
            raise Refused("key")

    def _do(self, path: str, fields: dict[str, str]) -> Any:
        if path == "balance":
            return {"balance": self._desk.balances[self.name] / 100}
        if path == "auth":
            return None
        if path == "sms/status":
            sms = self._desk.find(self.name, fields.get("id", ""))
            if sms is None:
                raise Refused("method")
            return self._shown(sms)
        if path != "sms/send":
            raise Refused("method")
        if not fields.get("sign"):
            raise Refused("sender")
        sms = self._desk.take(
            self.name,
            fields.get("number", ""),
            fields.get("text", ""),
            sender=fields["sign"],
            hook=fields.get("callbackUrl", ""),
        )
        self._told(sms)
        return {**self._shown(sms), "status": 0, "extendStatus": "queue"}

    def _shown(self, sms: Sms) -> dict[str, Any]:
        return {
            "id": sms.number,
            "from": sms.sender,
            "number": sms.to,
            "text": sms.text,
            "status": _AERO_STATUS[sms.status],
            "channel": "FREE SIGN",
            "cost": sms.cost / 100,
            "dateCreate": int(sms.at.timestamp()),
        }


class SmscApi:
    """`/sys/….php`: forms, errors by number under a status of 200."""

    name = "smsc"

    def __init__(self, desk: Desk, told: Told) -> None:
        self._desk = desk
        self._told = told

    def answer(self, request: Request) -> Response:
        """The answer to a request that is this API's."""
        fields = fields_of(request)
        try:
            self._let_in(fields)
            return _json(self._do(request.path.removeprefix("/sys/"), fields))
        except Refused as refused:
            code = _SMSC_ERRORS[refused.why]
            return _json({"error": f"error {refused.why}", "error_code": code})

    def _let_in(self, fields: dict[str, str]) -> None:
        own = ACCOUNTS[self.name]
        given = fields.get("login"), fields.get("psw")
        wrong = given != (own["login"], own["password"])
        if wrong or self._desk.befalls(self.name, "wrong_key"):
            raise Refused("key")
        if fields.get("fmt") != "3":
            raise Refused("method")  # only its JSON is emulated

    def _do(self, path: str, fields: dict[str, str]) -> Any:
        if path == "balance.php":
            return {"balance": f"{self._desk.balances[self.name] / 100:.2f}"}
        if path == "status.php":
            if not fields.get("phone") or not fields.get("id"):
                raise Refused("method")
            sms = self._desk.find(self.name, fields["id"], fields["phone"])
            return {"status": _SMSC_STATUS[sms.status] if sms else -3, "last_date": "", "err": 0}
        if path == "wait_call.php":
            awaited = self._desk.await_call(self.name, fields.get("phone", ""), "74951234567")
            return {"phone": awaited.call_to, "all_phones": [awaited.call_to]}
        if path != "send.php":
            raise Refused("method")
        sms = self._desk.take(
            self.name,
            fields.get("phones", ""),
            fields.get("mes", ""),
            sender=fields.get("sender", ""),
            own_id=fields.get("id", ""),
        )
        self._told(sms)
        number = int(sms.own_id or sms.number)
        answer: dict[str, Any] = {"id": number, "cnt": sms.segments}
        if fields.get("cost") == "3":
            balance = self._desk.balances[self.name]
            answer |= {"cost": f"{sms.cost / 100:.2f}", "balance": f"{balance / 100:.2f}"}
        return answer


class SmsRuApi:
    """`/sms/…`, `/my/…`, `/callcheck/…`: forms with `api_id`, codes under a status of 200."""

    name = "smsru"

    def __init__(self, desk: Desk, told: Told) -> None:
        self._desk = desk
        self._told = told

    def answer(self, request: Request) -> Response:
        """The answer to a request that is this API's."""
        fields = fields_of(request)
        try:
            self._let_in(fields)
            body = self._do(request.path.lstrip("/"), fields)
        except Refused as refused:
            return _json(self._refusal(refused))
        return _json({"status": "OK", "status_code": 100, **body})

    def _let_in(self, fields: dict[str, str]) -> None:
        wrong = fields.get("api_id") != ACCOUNTS[self.name]["api_id"]
        if wrong or self._desk.befalls(self.name, "wrong_key"):
            raise Refused("key")
        if fields.get("json") != "1":
            raise Refused("method")  # only its JSON is emulated

    def _do(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        balance = self._desk.balances[self.name] / 100
        if path == "my/balance":
            return {"balance": balance}
        if path == "callcheck/add":
            awaited = self._desk.await_call(self.name, fields.get("phone", ""), "78005008275")
            return {"check_id": awaited.id, "call_phone": awaited.call_to}
        if path == "sms/status":
            sms = self._desk.find(self.name, fields.get("sms_id", ""))
            code = _SMSRU_STATUS[sms.status] if sms else -1
            return {"sms": {fields.get("sms_id", ""): {"status": "OK", "status_code": code}}}
        if path != "sms/send":
            raise Refused("method")
        to = fields.get("to", "")
        try:
            sms = self._desk.take(
                self.name, to, fields.get("msg", ""), sender=fields.get("from", "")
            )
        except Refused as refused:
            return {"sms": {to: self._refusal(refused)}, "balance": balance}
        self._told(sms)
        about = {
            "status": "OK",
            "status_code": 100,
            "sms_id": sms_id(sms),
            "cost": f"{sms.cost / 100:.2f}",
        }
        return {"sms": {to: about}, "balance": balance}

    def _refusal(self, refused: Refused) -> dict[str, Any]:
        code = _SMSRU_ERRORS[refused.why]
        return {"status": "ERROR", "status_code": code, "status_text": refused.why}
