"""Making codes, taking them, and using what taking one brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import CursorResult, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from walletsvc.cards.codes import rules
from walletsvc.cards.codes.models import CardSecret, CodePolicy, How, Presentation, RollingCode
from walletsvc.cards.codes.rules import Trouble
from walletsvc.cards.models import Card
from walletsvc.core.errors import PresenceRequired, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.jobs.changes import touch
from walletsvc.programmes.models import Programme

# What a presentation was used for whose code was taken once more: it cannot be sold with as well.
_LATER_SCAN: Final = "a later scan"

_SHOWN_BEFORE: Final = text("""
SELECT min(actor) FILTER (WHERE first) AS taken_by,
       count(*) FILTER (WHERE used_at IS NOT NULL AND used_for <> :later_scan) AS sales,
       min(actor) FILTER (WHERE used_at IS NULL AND expires_at > :now) AS open_by
  FROM (SELECT actor, used_at, used_for, expires_at, id = min(id) OVER () AS first
          FROM presentations WHERE rolling_code_id = :code_id) AS each
""")
_FETCHED: Final = text("""
UPDATE rolling_codes SET retired_at = :now
 WHERE card_id = :card_id AND id < :code_id AND taken_at IS NOT NULL AND retired_at IS NULL
""")
_USE: Final = text("""
UPDATE presentations SET used_at = :now, used_for = :used_for
 WHERE id = :id AND used_at IS NULL
""")
_SUPERSEDE: Final = text("""
UPDATE presentations SET used_at = :now, used_for = :later_scan
 WHERE rolling_code_id = :code_id AND used_at IS NULL
""")
_FORGET: Final = (
    text("DELETE FROM presentations WHERE created_at < :before"),
    text("""
        DELETE FROM rolling_codes r WHERE taken_at < :before
           AND NOT EXISTS (SELECT FROM presentations p WHERE p.rolling_code_id = r.id)
    """),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a scanner is to read from the customer's screen, and until when (None: it stays)."""

    text: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Taker:
    """Who takes a code: the organisation, the branch its key is bound to, the key itself."""

    organisation_id: int
    branch_id: int | None
    actor: str


def ensure(session: Session, card_ids: Sequence[int], policy: CodePolicy, now: datetime) -> None:
    """Give those of the cards a secret and, for rolling codes, a first code, that have none."""
    if policy is CodePolicy.STATIC or not card_ids:
        return
    session.execute(
        insert(CardSecret)
        .values([
            {"card_id": id_, "secret": rules.new_secret(), "wrong_tries": 0, "created_at": now}
            for id_ in sorted(card_ids)
        ])
        .on_conflict_do_nothing()
    )  # fmt: skip
    if policy is CodePolicy.ROLLING:
        session.execute(
            insert(RollingCode)
            .values([
                {"card_id": id_, "code": rules.new_rolling_code(), "created_at": now}
                for id_ in sorted(card_ids)
            ])
            .on_conflict_do_nothing(
                index_elements=["card_id"], index_where=text("taken_at IS NULL")
            )
        )  # fmt: skip


def current_code(session: Session, card: Card, programme: Programme, now: datetime) -> Shown:
    """What the customer's page shows now.

    Takes a transaction that may write: a card from before its programme had codes gets its secret.
    """
    if programme.code_policy is CodePolicy.STATIC:
        return Shown(card.number, None)
    known = session.get(CardSecret, card.id)
    if known is None:
        ensure(session, [card.id], programme.code_policy, now)
        known = session.get_one(CardSecret, card.id)
    step = rules.step_at(now)
    return Shown(card.number + rules.code_of(known.secret, step), rules.step_end(step))


def present(
    session: Session, card: Card, policy: CodePolicy, code: str, taker: Taker, now: datetime
) -> Presentation | Trouble:
    """Take a code that was shown. Of two who take the same one, one gets it.

    Who takes it a second time before it was used for anything gets the same presentation: the
    answer may have been lost.
    """
    secret = _lock(session, card, policy, now)
    if _guessing(secret, now):
        return Trouble.WRONG
    if len(code) == rules.TIME_DIGITS:
        found = _by_time(session, secret, code, taker, now)
    else:
        found = _rolling(session, card, policy, code, taker, now)
    if found is Trouble.WRONG:
        if secret.wrong_since is None or secret.wrong_since + rules.WRONG_WINDOW <= now:
            secret.wrong_since, secret.wrong_tries = now, 0
        secret.wrong_tries += 1
    session.flush()
    return found


def check(
    session: Session, presentation: str, *, card_id: int, taker: Taker, at: datetime
) -> Presentation:
    """The presentation, good for a sale of the card `at` a moment.

    Raises InputError for what is none of this card and organisation, PresenceRequired when it
    was used, its time was over by then, or it was made only afterwards.
    """
    found = None
    if PUBLIC_ID.fullmatch(presentation):
        found = session.exec(
            select(Presentation)
            .where(Presentation.public_id == presentation)
            .execution_options(populate_existing=True)
        ).first()
    if (
        found is None
        or (found.card_id, found.organisation_id) != (card_id, taker.organisation_id)
        or (found.branch_id is not None and taker.branch_id not in (None, found.branch_id))
    ):
        raise wrong("presentation", "is not a presentation of this card here", "unknown")
    if found.used_at is not None:
        raise _used()
    if found.expires_at <= at:
        raise PresenceRequired(
            "The code was shown too long ago: scan the one that the phone shows now.",
            why="expired",
        )
    if at < found.created_at - rules.CLOCKS_DIFFER:
        raise PresenceRequired("The code was shown only after the sale.", why="missing")
    return found


def use(session: Session, found: Presentation, used_for: str, now: datetime) -> None:
    """Use a presentation that was checked; of two at once the second raises PresenceRequired.

    Call it with the accounts locked: everybody locks these first.
    """
    values = {"id": found.id, "used_for": used_for, "now": now}
    done = cast("CursorResult[Any]", session.execute(_USE, values))
    if done.rowcount == 0:
        raise _used()


def require(
    session: Session, presentation: str, *, card_id: int, taker: Taker, used_for: str, now: datetime
) -> Presentation:
    """Check and use in one; raises what both raise."""
    found = check(session, presentation, card_id=card_id, taker=taker, at=now)
    use(session, found, used_for, now)
    return found


def fetched(session: Session, card_id: int, code_id: int, now: datetime) -> None:
    """A phone has got the pass with this rolling code: those before it are over."""
    session.execute(_FETCHED, {"card_id": card_id, "code_id": code_id, "now": now})


def forget(session: Session, before: datetime) -> None:
    """Delete what was shown so long ago that nobody asks any more."""
    for statement in _FORGET:
        session.execute(statement, {"before": before})


def _lock(session: Session, card: Card, policy: CodePolicy, now: datetime) -> CardSecret:
    """The card's secret, locked: codes of one card are taken one after the other."""
    wanted = (
        select(CardSecret)
        .where(CardSecret.card_id == card.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.exec(wanted).first()
    if found is None:
        ensure(session, [card.id], policy, now)
        found = session.exec(wanted).one()
    return found


def _guessing(secret: CardSecret, now: datetime) -> bool:
    return (
        secret.wrong_since is not None
        and secret.wrong_tries >= rules.MOST_WRONG
        and now < secret.wrong_since + rules.WRONG_WINDOW
    )


def _by_time(
    session: Session, secret: CardSecret, code: str, taker: Taker, now: datetime
) -> Presentation | Trouble:
    step = rules.step_of(secret.secret, code, now)
    if isinstance(step, Trouble):
        return step
    if secret.last_step is None or step > secret.last_step:
        secret.last_step = step
        return _made(session, secret.card_id, taker, now, step=step)
    if step < secret.last_step:
        return Trouble.OLD
    known = session.exec(
        select(Presentation)
        .where(Presentation.card_id == secret.card_id, Presentation.step == step)
        .execution_options(populate_existing=True)
    ).first()
    return known if known is not None and _same(known, taker, now) else Trouble.USED


def _rolling(
    session: Session, card: Card, policy: CodePolicy, code: str, taker: Taker, now: datetime
) -> Presentation | Trouble:
    row = session.exec(
        select(RollingCode)
        .where(RollingCode.card_id == card.id, RollingCode.code == code)
        .execution_options(populate_existing=True)
    ).first()
    if row is None:
        return Trouble.WRONG
    if policy is not CodePolicy.ROLLING:
        return Trouble.OLD
    if row.taken_at is None:
        row.taken_at = now
        session.flush()
        session.add(RollingCode(card_id=card.id, code=_fresh(session, card), created_at=now))
        touch(session, "card", [card.id], at=now)
    else:
        # Locked: a late report of a sale with one of them comes before this or finds it over.
        known = session.exec(
            select(Presentation)
            .where(Presentation.rolling_code_id == row.id)
            .order_by(col(Presentation.id).desc())
            .with_for_update()
            .execution_options(populate_existing=True)
        ).first()
        values = {"code_id": row.id, "now": now, "later_scan": _LATER_SCAN}
        before = session.execute(_SHOWN_BEFORE, values).one()
        shown = rules.Shown(
            row.taken_at, before.taken_by or "", before.sales, before.open_by,
            retired=row.retired_at is not None,
        )  # fmt: skip
        if (trouble := rules.again(shown, taker.actor, now)) is not None:
            return trouble
        if known is not None and _same(known, taker, now):
            return known
        session.execute(_SUPERSEDE, values)
    return _made(session, card.id, taker, now, rolling_code_id=row.id)


def _fresh(session: Session, card: Card) -> str:
    """A code that this card never had."""
    while True:
        code = rules.new_rolling_code()
        wanted = select(RollingCode.id).where(
            RollingCode.card_id == card.id, RollingCode.code == code
        )
        if session.exec(wanted).first() is None:
            return code


def _same(known: Presentation, taker: Taker, now: datetime) -> bool:
    """Whether it is the taker's own and still good: then this is the same scan once more."""
    return (
        known.used_at is None
        and known.expires_at > now
        and (known.organisation_id, known.branch_id, known.actor)
        == (taker.organisation_id, taker.branch_id, taker.actor)
    )


def _made(
    session: Session,
    card_id: int,
    taker: Taker,
    now: datetime,
    *,
    step: int | None = None,
    rolling_code_id: int | None = None,
) -> Presentation:
    made = Presentation(
        card_id=card_id,
        organisation_id=taker.organisation_id,
        branch_id=taker.branch_id,
        actor=taker.actor,
        how=How.ROLLING if step is None else How.TIME_BASED,
        step=step,
        rolling_code_id=rolling_code_id,
        created_at=now,
        expires_at=now + rules.VALID_FOR,
    )
    session.add(made)
    session.flush()
    return made


def _used() -> PresenceRequired:
    return PresenceRequired("The code that was shown has been used: scan a new one.", why="used")
