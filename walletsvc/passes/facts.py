"""What of the database a pass may say: one row per pass, in one statement."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, and_, func, literal_column, select
from sqlmodel import col

from walletsvc.cards.codes.models import CardSecret, CodePolicy, RollingCode
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.ledger.models import Account, Unit
from walletsvc.merchants.models import Organisation
from walletsvc.passes.models import Pass, PassType, TemplateVersion, VersionState, Wallet
from walletsvc.people.models import Person
from walletsvc.programmes.models import Programme, RuleState, RuleVersion
from walletsvc.programmes.tiers.models import AccountTier

_COLUMNS: Final[tuple[Any, ...]] = (
    col(Pass.id).label("pass_id"),
    col(Pass.wallet).label("wallet"),
    col(PassType.generation).label("generation"),
    col(TemplateVersion.id).label("version_id"),
    col(TemplateVersion.digest).label("version_digest"),
    col(Organisation.name).label("organisation"),
    col(Organisation.phone).label("phone"),
    col(Organisation.website).label("website"),
    col(Programme.name).label("programme"),
    col(Programme.slug).label("programme_slug"),
    col(Programme.currency).label("currency"),
    col(Programme.time_zone).label("time_zone"),
    col(Account.balance).label("balance"),
    col(Unit.scale).label("scale"),
    col(Card.number).label("number"),
    col(Card.created_at).label("member_since"),
    col(Card.closed_at).label("card_closed_at"),
    col(RollingCode.id).label("rolling_id"),
    col(RollingCode.code).label("rolling_code"),
    col(CardSecret.card_id).label("rotating_card"),
    col(Person.first_name).label("first_name"),
    col(Person.last_name).label("last_name"),
    col(Person.language).label("language"),
    col(AccountTier.tier).label("tier"),
    col(AccountTier.base).label("tier_base"),
    col(RuleVersion.public_id).label("rules"),
    col(Certificate.code).label("code"),
    col(Certificate.face_value).label("face_value"),
    col(Certificate.recipient_name).label("recipient_name"),
    col(Certificate.expires_at).label("expires_at"),
    func.coalesce(
        col(Certificate.blocked_at), col(Certificate.expired_at), col(Certificate.closed_at)
    ).label("stopped_at"),
)


# The code on an Apple pass changes when it was used; Google's own app makes codes by the time.
_ROLLS: Final = and_(
    col(RollingCode.card_id) == col(Card.id),
    col(RollingCode.taken_at).is_(None),
    col(Pass.wallet) == literal_column(f"'{Wallet.APPLE}'"),
    col(Programme.code_policy) == literal_column(f"'{CodePolicy.ROLLING}'"),
)
_ROTATES: Final = and_(
    col(CardSecret.card_id) == col(Card.id),
    col(Pass.wallet) == literal_column(f"'{Wallet.GOOGLE}'"),
    col(Programme.code_policy) != literal_column(f"'{CodePolicy.STATIC}'"),
)


def facts(*more: Any) -> Select[*tuple[Any, ...]]:
    """Everything a placeholder may ask for, one row per pass, with further columns of it.

    `version_id` is null where no version of the template is published.
    """
    holder_programme = func.coalesce(col(Card.programme_id), col(Certificate.programme_id))
    holder_account = func.coalesce(col(Card.account_id), col(Certificate.account_id))
    return (
        select(
            *_COLUMNS,
            *more,
        )
        .select_from(Pass)
        .join(PassType, col(PassType.id) == col(Pass.pass_type_id))
        .outerjoin(
            TemplateVersion,
            and_(
                col(TemplateVersion.template_id) == col(Pass.template_id),
                col(TemplateVersion.state) == literal_column(f"'{VersionState.PUBLISHED}'"),
            ),
        )
        .outerjoin(Card, col(Card.id) == col(Pass.card_id))
        .outerjoin(Person, col(Person.id) == col(Card.person_id))
        .outerjoin(Certificate, col(Certificate.id) == col(Pass.certificate_id))
        .join(Programme, col(Programme.id) == holder_programme)
        .outerjoin(RollingCode, _ROLLS)
        .outerjoin(CardSecret, _ROTATES)
        .join(Organisation, col(Organisation.id) == col(Programme.organisation_id))
        .join(Account, col(Account.id) == holder_account)
        .join(Unit, col(Unit.id) == col(Account.unit_id))
        .outerjoin(AccountTier, col(AccountTier.account_id) == col(Card.account_id))
        .outerjoin(
            RuleVersion,
            and_(
                col(RuleVersion.programme_id) == col(Card.programme_id),
                col(RuleVersion.state) == literal_column(f"'{RuleState.PUBLISHED}'"),
            ),
        )
    )
