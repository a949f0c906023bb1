"""The sender: a few threads, each of which takes a message, hands it over, and notes the result.

Nothing is locked and no transaction is open while a gateway is asked. The try is counted before;
who dies in the middle leaves a row that comes back with the try in doubt (see `rules`).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from walletsvc.core.clock import Clock
from walletsvc.jobs.changes import Lane
from walletsvc.messaging.models import Gateway, Message, MessageState
from walletsvc.messaging.protocol import Fate, Fault, GatewayError, Sent, SmsGateway, Status
from walletsvc.messaging.sending import noting
from walletsvc.messaging.sending.claiming import claim, is_due
from walletsvc.messaging.sending.deciding import Asking, Decider, Try
from walletsvc.storage.engine import Database

log = structlog.get_logger(__name__)

THREADS: Final = 6
# So many of them take nothing of the bulk lane: a code must not wait behind a campaign.
URGENT_ONLY: Final = 2
_PAUSE_SECONDS: Final = 1.0


class MessageSender:
    """Sends what is due."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        base_url: str,
        *,
        stop: threading.Event | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._decider = Decider(base_url)
        self._stop = stop or threading.Event()
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._wake = threading.Condition()
        self._signals = 0

    def send_one(self, lanes: Sequence[Lane] = tuple(Lane)) -> bool:
        """Do what is next for one message; False when none is due."""
        with self._database.write_tx() as session:
            message = claim(session, lanes, self._clock())
            if message is None:
                return False
            todo = self._decided(session, message)
        if isinstance(todo, Try):
            self._hand_over(todo)
        elif isinstance(todo, Asking):
            self._ask(todo)
        return True

    def _decided(self, session: Session, message: Message) -> Try | Asking | None:
        """What is to be done; a message that makes us fail waits for the end of its lease, and
        does not keep the others."""
        session.flush()
        id_ = message.public_id
        try:
            with session.begin_nested():
                return self._decider.decide(session, message, self._clock())
        except OperationalError:
            raise
        except Exception:
            log.exception("a message could not be dealt with", message=id_)
            return None

    def drain(self) -> int:
        """Do all that is due at this moment; how many steps that took."""
        done = 0
        while self.send_one():
            done += 1
        return done

    def run(self, wait: Callable[[float], bool], sweep_seconds: float) -> None:
        """Send until told to stop; `wait` returns True at a signal, or False after so many seconds.

        Then this one looks for all of them: six threads that each looked every two seconds took
        more of an idle machine than all else.
        """
        threads = [
            threading.Thread(
                target=self._work,
                args=([Lane.INTERACTIVE] if number < URGENT_ONLY else list(Lane),),
                name="messages",
                daemon=True,
            )
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        while not self._stop.is_set():
            if wait(sweep_seconds) or self._is_due():
                self._signal()
        self._signal()
        for thread in threads:
            thread.join()

    def _is_due(self) -> bool:
        try:
            with self._database.read_tx() as session:
                return is_due(session, self._clock())
        except OperationalError as error:
            log.warning("the messages cannot be reached", error=str(error.orig).strip())
            return False

    def _signal(self) -> None:
        with self._wake:
            self._signals += 1
            self._wake.notify_all()

    def _work(self, lanes: list[Lane]) -> None:
        while not self._stop.is_set():
            seen = self._signals
            try:
                busy = self.send_one(lanes)
            except OperationalError as error:
                log.warning("the messages cannot be reached", error=str(error.orig).strip())
                busy = self._stop.wait(_PAUSE_SECONDS)
            except Exception:
                # One message's trouble must not keep the others: it comes back after its lease.
                log.exception("a message could not be dealt with")
                busy = self._stop.wait(_PAUSE_SECONDS)
            if not busy:
                self._rest(seen)

    def _rest(self, seen: int) -> None:
        """Wait for a signal that came after this one."""
        with self._wake:
            self._wake.wait_for(lambda: self._signals != seen)

    def _hand_over(self, todo: Try) -> None:
        result: Sent | GatewayError
        try:
            result = todo.adapter.send(todo.outgoing)
        except GatewayError as error:
            result = Sent("") if error.fault is Fault.REPEATED else error
        with self._database.write_tx() as session:
            message = _mine(session, todo)
            if message is None:
                log.warning("a message was dealt with by another sender meanwhile")
                return
            gateway = session.exec(
                select(Gateway).where(Gateway.id == todo.gateway_id).with_for_update()
            ).one()
            now = self._clock()
            if isinstance(result, Sent):
                news = isinstance(todo.adapter, SmsGateway)
                noting.handed_over(session, message, gateway, result, now, news=news)
            else:
                noting.not_handed_over(session, message, gateway, result, now, self._rng)
        self._log(message, gateway)

    def _ask(self, todo: Asking) -> None:
        try:
            status = todo.adapter.ask(todo.external_id, todo.phone)
        except GatewayError:
            status = Status(todo.external_id, Fate.UNDER_WAY)
        with self._database.write_tx() as session:
            message = _locked(session, todo.message_id)
            if message.state is MessageState.SENT and message.external_id == todo.external_id:
                noting.asked(session, message, status, self._clock())

    def _log(self, message: Message, gateway: Gateway) -> None:
        log.info(
            "a message",
            message=message.public_id,
            kind=message.kind.value,
            state=message.state.value,
            gateway=gateway.kind,
            attempts=message.attempts,
            reason=message.error,
        )


def _mine(session: Session, todo: Try) -> Message | None:
    """The message, if this try is still the one that is under way."""
    message = _locked(session, todo.message_id)
    if message.state is MessageState.SENDING and message.attempts == todo.number:
        return message
    return None


def _locked(session: Session, message_id: int) -> Message:
    return session.exec(select(Message).where(Message.id == message_id).with_for_update()).one()
