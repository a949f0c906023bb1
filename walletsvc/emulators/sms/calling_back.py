"""Webhooks as the providers call them, from a thread of their own."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from walletsvc.emulators.sms.desk import ACCOUNTS, Awaited, Desk, Sms, sms_id

logger = logging.getLogger(__name__)


@dataclass
class Callback:
    """One call of a webhook."""

    url: str
    form: dict[str, Any] = field(default_factory=dict)
    json: Any = None


class Callbacks:
    """Calls webhooks; a thread for news of deliveries, and at once for what a person does."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: queue.SimpleQueue[Callback | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sms-callbacks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; what is waiting is still told."""
        self._waiting.put(None)
        self._thread.join()

    def delivered(self, sms: Sms) -> None:
        """Tell what became of a message, soon."""
        hook = sms.hook or self._desk.hooks.get(sms.gateway, {}).get("status", "")
        if not hook or sms.status == "under_way":
            return
        good = sms.status == "delivered"
        if sms.gateway == "smsaero":
            news = {"id": sms.number, "status": 1 if good else 2, "number": sms.to}
            self._waiting.put(Callback(hook, json=news))
        elif sms.gateway == "smsc":
            form = {
                "id": sms.own_id or str(sms.number),
                "phone": sms.to,
                "status": "1" if good else "20",
                "time": f"{sms.at:%d.%m.%Y %H:%M:%S}",
                "err": "0" if good else "1",
            }
            self._waiting.put(Callback(hook, form))
        else:
            self._waiting.put(Callback(hook, _signed(_news(sms))))

    def reported(self, hook: str, sent: Sequence[Sms]) -> int:
        """Tell what became of many messages of sms.ru; the status that its webhook answered."""
        return _call(Callback(hook, _numbered([_news(each) for each in sent])))

    def written(self, gateway: str, phone: str, text: str) -> int:
        """Somebody writes to the shop's number; the status that its webhook answered."""
        hook = self._desk.hooks.get(gateway, {}).get("inbound", "")
        plain, id_ = phone.lstrip("+"), str(time.time_ns())
        if gateway == "smsaero":
            return _call(
                Callback(hook, json={"id": id_, "from": plain, "to": "70000000000", "text": text})
            )
        return _call(Callback(hook, {"id": id_, "phone": plain, "mes": text, "to": "70000000000"}))

    def called(self, awaited: Awaited) -> int:
        """Somebody calls the number that they were shown; the status that the webhook answered."""
        hook = self._desk.hooks.get(awaited.gateway, {}).get("call", "")
        if awaited.gateway == "smsru":
            entry = f"callcheck_status\n{awaited.id}\n401\n{int(time.time())}"
            return _call(Callback(hook, _signed(entry)))
        return _call(Callback(hook, {"phone": awaited.phone}))

    def _run(self) -> None:
        while (callback := self._waiting.get()) is not None:
            _call(callback)


def _news(sms: Sms) -> str:
    code = "103" if sms.status == "delivered" else "105"
    return f"sms_status\n{sms_id(sms)}\n{code}\n{int(sms.at.timestamp())}"


def _numbered(entries: Sequence[str]) -> dict[str, str]:
    """Several at once: the signature goes over them as they come, one after the other."""
    digest = hashlib.sha256(ACCOUNTS["smsru"]["api_id"].encode())
    form = {}
    for number, entry in enumerate(entries):
        digest.update(entry.encode())
        form[f"data[{number}]"] = entry
    return {**form, "hash": digest.hexdigest()}


def _signed(entry: str) -> dict[str, str]:
    key = ACCOUNTS["smsru"]["api_id"]
    return {"data[]": entry, "hash": hashlib.sha256((key + entry).encode()).hexdigest()}


def _call(callback: Callback) -> int:
    if not callback.url:
        return 0
    try:
        answer = requests.post(
            callback.url, data=callback.form or None, json=callback.json, timeout=10
        )
    except requests.RequestException as error:
        logger.warning("a webhook cannot be called: %s", type(error).__name__)
        return 0
    return answer.status_code
