"""Timelines of passes: what happened between a change and the phones, and what it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import Field
from sqlmodel import Session

from walletsvc.access.rules import Scope
from walletsvc.api.moments import MomentIn
from walletsvc.api.operations import Call, Operation
from walletsvc.api.schemas import Moment, Output, Page
from walletsvc.apple.timeline import report as apple
from walletsvc.core.errors import NotFound, Refused
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.google.timeline import report as google
from walletsvc.passes.models import Wallet
from walletsvc.passes.timeline.entries import Entry, EntryKind, Place
from walletsvc.passes.timeline.findings import Code, Finding, Severity
from walletsvc.passes.timeline.report import Report
from walletsvc.passes.timeline.subject import By, Subject, find
from walletsvc.passes.timeline.waiting import WaitingKind
from walletsvc.passes.wording.speech import Speech

_SERIAL: Final = re.compile(r"[0-9a-z]{1,64}")
_DEFAULT: Final = timedelta(days=7)
_READERS: Final = {Wallet.APPLE: apple.read, Wallet.GOOGLE: google.read}


def read(session: Session, subject: Subject, **options: Any) -> Report:
    """The timeline of a pass, read as its wallet has it; options as `apple.timeline.report.read`
    takes them."""
    return _READERS[subject.pass_.wallet](session, subject, **options)


class TimelinePage(Page):
    """Which part of a timeline."""

    since: MomentIn | None = Field(
        None, description="Only what happened since, RFC 3339. Default: the last seven days."
    )
    language: Literal["ru", "en"] = Field("en", description="The language of the texts.")


class FindingOut(Output):
    """A reason why a phone does or does not show the newest state."""

    code: Code = Field(description="Stable; docs/timeline.md explains each.")
    severity: Severity = Field(
        description="`problem`: somebody must act; `waiting`: it goes on by itself or only the "
        "phone's owner can act; `unknown`: what is kept does not tell; `fine`."
    )
    device: str | None = Field(description="The phone's label, if it is about one.")
    text: str
    advice: str = Field(description="What to do.")


class EntryOut(Output):
    """Something that happened to the pass."""

    at: Moment
    kind: EntryKind
    device: str | None = Field(
        description="A label of four characters; the same phone has it in every timeline."
    )
    follows: EntryKind | None = Field(description="The link of the chain before it, if known.")
    seconds: float | None = Field(description="How long after that.")
    text: str
    detail: dict[str, Any] = Field(
        description="What is known, by kind: `differs` of a publication maps field keys to "
        "[before, now], texts only by how they begin; `apns_id`, `status`, `reason`, `attempts` "
        "of a push; `since` and `answered` (update tags) of a list call; `revision` of a fetch; "
        "`what`, `revision`, `status`, `reason` and `buzz` (whether the phone was to announce it: "
        "`asked`, or why not: `budget`, `refused`) of what Google was sent."
    )


class WaitingOut(Output):
    """Something that has not happened yet, or holds others up."""

    kind: WaitingKind
    device: str | None
    since: Moment | None
    due: Moment | None = Field(description="When it goes on, if that is known.")
    text: str
    detail: dict[str, Any]


class NotificationsOut(Output):
    """The allowance of notifications that a wallet gives a pass in 24 hours."""

    left: int
    of: int
    next_at: Moment | None = Field(description="When one comes back; null: all are left.")


class PassTimelineOut(Output):
    """A pass, what is wrong with it, and what happened."""

    wallet: Wallet
    serial: str = Field(description="The pass's serial number.")
    pass_type: str = Field(description="Apple's pass type identifier, or Google's issuer id.")
    card: str | None = Field(description="Public id of the card, if it is one's pass.")
    certificate: str | None = Field(description="Public id of the certificate, likewise.")
    revision: int = Field(description="How often the pass was published.")
    tag: str = Field(description="The update tag of the last publication.")
    published_at: Moment | None
    notifications: NotificationsOut | None = Field(
        description="Null where the wallet has no allowance (Apple)."
    )
    findings: list[FindingOut] = Field(
        description="Most likely first: the first is the verdict. In Apple Wallet one for each "
        "phone that holds the pass, after what concerns the pass as a whole."
    )
    waiting: list[WaitingOut]
    items: list[EntryOut] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="Null on the last piece.")


class TimelineOut(PassTimelineOut):
    """The timeline of a pass; for a card that of its first pass, and beside it the others'."""

    others: list[PassTimelineOut] = Field(
        description="The card's passes in other wallets, each with its own timeline; go on in one "
        "by its serial number. Empty for a single pass, and for all pieces but the first."
    )


def present(reports: Sequence[Report], speech: Callable[[Report], Speech]) -> TimelineOut:
    """Reports in the words of the REST interface, which `--json` of the command shares."""
    first, *others = (_pass(report, speech(report)) for report in reports)
    return TimelineOut(**dict(first), others=others)


def _pass(report: Report, speech: Speech) -> PassTimelineOut:
    subject, pass_, left = report.subject, report.subject.pass_, report.notifications
    return PassTimelineOut(
        wallet=pass_.wallet,
        serial=pass_.serial,
        pass_type=subject.pass_type,
        card=subject.card_id,
        certificate=subject.certificate_id,
        revision=pass_.revision,
        tag=f"{subject.epoch}-{pass_.tag}",
        published_at=pass_.published_at,
        notifications=NotificationsOut(**left._asdict()) if left else None,
        findings=[_finding(finding, speech) for finding in report.findings],
        waiting=[
            WaitingOut(
                kind=one.kind,
                device=one.device,
                since=one.since,
                due=one.due,
                text=speech.waiting(one),
                detail=dict(one.values),
            )
            for one in report.waiting
        ],
        items=[_entry(entry, speech) for entry in reversed(report.entries)],
        next_cursor=str(report.older) if report.older else None,
    )


def _finding(finding: Finding, speech: Speech) -> FindingOut:
    text, advice = speech.finding(finding)
    return FindingOut(
        code=finding.code,
        severity=finding.severity,
        device=finding.device,
        text=text,
        advice=advice,
    )


def _entry(entry: Entry, speech: Speech) -> EntryOut:
    return EntryOut(
        at=entry.at,
        kind=entry.kind,
        device=entry.device,
        follows=entry.follows,
        seconds=entry.seconds,
        text=speech.entry(entry),
        detail=dict(entry.detail),
    )


def read_card_timeline(call: Call) -> TimelineOut:
    """The timelines of a card's passes."""
    return _read(call, call.path["card_id"], By.CARD, PUBLIC_ID, "card")


def read_pass_timeline(call: Call) -> TimelineOut:
    """The timeline of the pass with this serial number."""
    return _read(call, call.path["serial"], By.SERIAL, _SERIAL, "pass")


def _read(call: Call, what: str, by: By, form: re.Pattern[str], kind: str) -> TimelineOut:
    query: TimelinePage = call.query
    after = Place.parse(query.cursor) if query.cursor is not None else None
    if not form.fullmatch(what):
        raise NotFound(f"There is no such {kind}.")
    subjects = find(call.session, what, organisation_id=call.key.organisation_id, by=(by,))
    reports = [
        read(
            call.session,
            subject,
            now=call.now,
            keep=timedelta(days=call.deps.settings.timeline_days),
            since=query.since or call.now - _DEFAULT,
            limit=query.limit,
            after=after,
        )
        for subject in (subjects if after is None else subjects[:1])
    ]
    return present(reports, lambda report: Speech(query.language, report.subject))


_EXAMPLE: Final = {
    "wallet": "apple",
    "serial": "7m2k9p4r6t8v0x1z3b5d",
    "pass_type": "pass.com.example.loyalty",
    "card": "3h7k9m2p5r8t0v4x6z1b",
    "certificate": None,
    "revision": 5,
    "tag": "1-184",
    "published_at": "2026-11-20T10:15:42.130000Z",
    "notifications": None,
    "findings": [
        {
            "code": "phone-silent",
            "severity": "waiting",
            "device": "k3f9",
            "text": "Apple accepted the push to phone k3f9 2026-11-20 13:15:42; the phone has not "
            "asked for 40 min.",
            "advice": "Most likely it is off, without network, or in Low Power Mode.",
        }
    ],
    "waiting": [],
    "items": [
        {
            "at": "2026-11-20T10:15:42.310000Z",
            "kind": "pushed",
            "device": "k3f9",
            "follows": "published",
            "seconds": 0.18,
            "text": "push accepted (apns-id 4f0c1a52-6d0b-4b7e-9f0e-7d1f6a2b8c11, attempt 1); "
            "0.18 s after the publication",
            "detail": {
                "apns_id": "4f0c1a52-6d0b-4b7e-9f0e-7d1f6a2b8c11",
                "status": 200,
                "reason": "",
                "attempts": 1,
                "action": "done",
            },
        },
        {
            "at": "2026-11-20T10:15:42.130000Z",
            "kind": "published",
            "device": None,
            "follows": "changed",
            "seconds": 0.08,
            "text": "published as revision 5, tag 1-184: points 120 → 170; because: a movement "
            "on the account; 0.08 s after the change",
            "detail": {
                "revision": 5,
                "tag": "1-184",
                "version": 2,
                "lane": "interactive",
                "causes": ["account"],
                "changed_at": "2026-11-20T10:15:42.050000+00:00",
                "differs": {"points": [120, 170]},
            },
        },
    ],
    "next_cursor": "1795169742130000-1",
    "others": [],
}
_DESCRIPTION: Final = (
    "Why did a phone not update? The chain of the {kind}: changed, published; in Apple Wallet "
    "pushed, asked, fetched or unchanged, what phones logged; in Google Wallet the link opened, "
    "sent, saved, announced or why not, removed; and what the evidence means, most likely first. "
    "Phones are named by labels of their own; texts such as names are masked. Entries are kept "
    "for as long as the installation says."
)

OPERATIONS: Final = (
    Operation(
        id="readCardTimeline",
        method="GET",
        path="/cards/{card_id}/timeline",
        tag="Timelines",
        scope=Scope.OPERATIONS_READ,
        summary="Read a card's timeline",
        description=_DESCRIPTION.format(kind="card's passes"),
        handler=read_card_timeline,
        query=TimelinePage,
        answer=TimelineOut,
        answer_example=_EXAMPLE,
        problems=(Refused,),
        path_parameters={"card_id": "The card's id, as registering the member answered it."},
    ),
    Operation(
        id="readPassTimeline",
        method="GET",
        path="/passes/{serial}/timeline",
        tag="Timelines",
        scope=Scope.OPERATIONS_READ,
        summary="Read a pass's timeline",
        description=_DESCRIPTION.format(kind="pass"),
        handler=read_pass_timeline,
        query=TimelinePage,
        answer=TimelineOut,
        answer_example=_EXAMPLE,
        problems=(Refused,),
        path_parameters={"serial": "The pass's serial number, as the phone shows and logs it."},
    ),
)
