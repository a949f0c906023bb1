"""Groups: cards that share an account. Inviting, joining, leaving, and who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from walletsvc.access.models import ApiKey
from walletsvc.access.rules import Scope
from walletsvc.api import present
from walletsvc.api.cards import CARD_PATH, TRANSACTION_EXAMPLE, find_card
from walletsvc.api.groups_schemas import (
    GroupInvitationOut,
    GroupJoined,
    GroupLeft,
    GroupMemberOut,
    GroupOut,
    LeavingGroup,
    NewGroupMembership,
    StayingPoints,
)
from walletsvc.api.members import PERSON_EXAMPLE
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.schemas import CardRef, DryRun, ProgrammeOut, TransactionOut
from walletsvc.cards import queries as cards
from walletsvc.cards.groups import invitations, queries, service
from walletsvc.cards.groups.models import CardGroup
from walletsvc.cards.groups.service import Joined
from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, Forbidden, InsufficientFunds, NotFound, Refused, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.ledger.models import Transaction
from walletsvc.ledger.queries import posted
from walletsvc.storage.limits import Limit


def create_invitation(call: Call) -> GroupInvitationOut:
    """A code that lets one more card in."""
    card = find_card(call).card
    invitation, code = service.invite(call.session, card, actor=call.actor, now=call.now)
    return GroupInvitationOut(code=code, expires_at=invitation.expires_at)


def join_group(call: Call) -> GroupJoined:
    """Let the card into another's group."""
    query: DryRun = call.query
    card = find_card(call).card
    joined = _join(call, card)
    return GroupJoined(
        group=None if query.dry_run and joined.founded else joined.group.public_id,
        brought=joined.member.brought,
        balance=joined.balance,
        transaction=_transaction(call, joined.transaction, joined.group.account_id),
        dry_run=query.dry_run,
    )


def leave_group(call: Call) -> GroupLeft:
    """Take the card out of its group."""
    body: LeavingGroup = call.body
    query: DryRun = call.query
    card = find_card(call).card
    left = service.leave(
        call.session,
        card,
        body.take,
        actor=call.actor,
        now=call.now,
        branch_id=call.key.branch_id,
    )
    return GroupLeft(
        taken=body.take,
        balance=left.balance,
        stays=[
            StayingPoints(
                amount=each.amount,
                available_from=each.available_from,
                expires_at=each.expires_at,
                card=each.card_public_id,
            )
            for each in left.stays
        ],
        group_closed=left.group.closed_at is not None,
        transaction=_transaction(call, left.transaction, card.account_id),
        dry_run=query.dry_run,
    )


def read_cards_group(call: Call) -> GroupOut:
    """The group that the card is in."""
    group = find_card(call).group
    if group is None:
        raise NotFound("The card is in no group.")
    return _group(call, group)


def read_group(call: Call) -> GroupOut:
    """A group, also one that ended."""
    group_id, group = call.path["group_id"], None
    if PUBLIC_ID.fullmatch(group_id):
        group = queries.find(call.session, call.key.organisation_id, group_id)
    if group is None:
        raise NotFound("There is no such group.")
    return _group(call, group)


def tries(key: ApiKey, path: Mapping[str, str]) -> Sequence[tuple[Limit, str]]:
    """Whose share of codes that let nobody in a call counts against."""
    wanted = [(invitations.PER_KEY, key.public_id)]
    if PUBLIC_ID.fullmatch(path["card_id"]):
        # With the organisation: nobody can use up the tries of another's card.
        wanted.append((invitations.PER_CARD, f"{key.organisation_id}:{path['card_id']}"))
    return wanted


def _join(call: Call, card: Card) -> Joined:
    body: NewGroupMembership = call.body
    common: dict[str, Any] = {
        "actor": call.actor,
        "now": call.now,
        "branch_id": call.key.branch_id,
    }
    if body.code is not None:
        return service.join(call.session, card, body.code, **common)
    if Scope.GROUPS_APPROVE not in call.key.scopes:
        raise Forbidden(
            f"The API key lacks the scope '{Scope.GROUPS_APPROVE}'.",
            scope=str(Scope.GROUPS_APPROVE),
        )
    member_id, member = body.card_id or "", None
    if PUBLIC_ID.fullmatch(member_id):
        member = cards.find(call.session, call.key.organisation_id, member_id)
    if member is None:
        raise wrong("card_id", "is not a card of yours", "unknown")
    return service.approve(call.session, card, member.card, reason=body.reason or "", **common)


def _transaction(
    call: Call, transaction: Transaction | None, account_id: int
) -> TransactionOut | None:
    """The transaction as it shows on the account that got the value."""
    if transaction is None:
        return None
    row = posted(call.session, transaction.id, account_id=account_id)
    return present.transaction(row, dry_run=call.query.dry_run)


def _group(call: Call, group: CardGroup) -> GroupOut:
    view = queries.group_view(call.session, group)
    return GroupOut(
        id=group.public_id,
        programme=ProgrammeOut(
            slug=view.programme.slug, name=view.programme.name, scale=view.unit.scale
        ),
        balance=view.balance,
        members=[
            GroupMemberOut(
                card=CardRef(id=member.card.public_id, number=member.card.number),
                holder=present.person(member.person),
                proof=member.proof.value,
                reason=member.reason,
                brought=member.brought,
                earned=member.earned,
                spent=member.spent,
                joined_at=member.joined_at,
                left_at=member.left_at,
                left_with=member.left_with,
            )
            for member in view.members
        ],
        created_at=group.created_at,
        closed_at=group.closed_at,
    )


_JOINING: Final = "3h7k9m2p5r8t0v4x6z1b"
_GROUP_ID: Final = "2c4f6h8k0n3q5s7v9x1z"
_MOVED: Final[dict[str, Any]] = TRANSACTION_EXAMPLE | {
    "type": "merge",
    "reason": "",
    "amount": 250,
    "balance_after": 430,
}
_MEMBER: Final[dict[str, Any]] = {
    "card": {"id": _JOINING, "number": "9047182036514928"},
    "holder": PERSON_EXAMPLE,
    "proof": "invitation",
    "reason": "",
    "brought": 250,
    "earned": 40,
    "spent": 120,
    "joined_at": "2026-11-20T10:15:42Z",
    "left_at": None,
    "left_with": None,
}
_GROUP_EXAMPLE: Final = {
    "id": _GROUP_ID,
    "programme": {"slug": "coffee", "name": "Coffee Club", "scale": 0},
    "balance": 350,
    "members": [_MEMBER],
    "created_at": "2026-11-20T10:15:42Z",
    "closed_at": None,
}

OPERATIONS: Final = (
    Operation(
        id="createGroupInvitation",
        method="POST",
        path="/cards/{card_id}/group-invitations",
        tag="Groups",
        scope=Scope.GROUPS_WRITE,
        summary="Invite into a card's group",
        description="A code for whoever shall share the card's account, to be given to the "
        "holder: who knows it shares the points. It lets one card in within 24 hours and is "
        "shown this once. A card has at most five open invitations; it need not be in a group.",
        handler=create_invitation,
        status=201,
        answer=GroupInvitationOut,
        answer_example={"code": "7KM-4QX-9RT", "expires_at": "2026-11-21T10:15:42Z"},
        problems=(Refused, Conflict),
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="joinGroup",
        method="POST",
        path="/cards/{card_id}/group",
        tag="Groups",
        scope=Scope.GROUPS_WRITE,
        summary="Let a card into a group",
        description="The card's points join those of the group with all their dates, and every "
        "card of the group shows the shared balance. The proof is the `code` of an invitation; "
        "or staff name a member's `card_id` and a `reason`, which needs the scope "
        "`groups:approve`. Refused while points of either side are held. Codes can be tried a "
        "limited number of times.",
        handler=join_group,
        body=NewGroupMembership,
        body_example={"code": "7KM-4QX-9RT"},
        query=DryRun,
        answer=GroupJoined,
        answer_example={
            "group": _GROUP_ID,
            "brought": 250,
            "balance": 430,
            "transaction": _MOVED,
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict),
        limits=tries,
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="leaveGroup",
        method="POST",
        path="/cards/{card_id}/group/leave",
        tag="Groups",
        scope=Scope.GROUPS_WRITE,
        summary="Take a card out of its group",
        description="The card gets an account of its own with the agreed part; the points that "
        "end soonest go first and keep their dates. When one card remains, the group ends and "
        "the balance is that card's. What happened in the group stays with the group: a later "
        "refund of a purchase goes there, and so do points promised for later (`stays`): try "
        "with `dry_run` to see them first.",
        handler=leave_group,
        body=LeavingGroup,
        body_example={"take": 150},
        query=DryRun,
        answer=GroupLeft,
        answer_example={
            "taken": 150,
            "balance": 150,
            "stays": [
                {
                    "amount": 40,
                    "available_from": "2026-12-01T00:00:00Z",
                    "expires_at": None,
                    "card": _JOINING,
                }
            ],
            "group_closed": False,
            "transaction": _MOVED | {"type": "transfer", "amount": 150, "balance_after": 150},
            "dry_run": False,
        },
        key=KeyRule.REQUIRED,
        problems=(Refused, Conflict, InsufficientFunds),
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="readCardsGroup",
        method="GET",
        path="/cards/{card_id}/group",
        tag="Groups",
        scope=Scope.CARDS_READ,
        summary="Read a card's group",
        description="Who shares the account, what each brought, and earned and spent since.",
        handler=read_cards_group,
        answer=GroupOut,
        answer_example=_GROUP_EXAMPLE,
        path_parameters=CARD_PATH,
    ),
    Operation(
        id="readGroup",
        method="GET",
        path="/groups/{group_id}",
        tag="Groups",
        scope=Scope.CARDS_READ,
        summary="Read a group",
        description="The same by the group's id, also when it has ended.",
        handler=read_group,
        answer=GroupOut,
        answer_example=_GROUP_EXAMPLE,
        path_parameters={"group_id": "The group's id, as a card names it."},
    ),
)
