"""Save links: where a visitor adds an object that Google has already.

The link names the object by its id only, so it is short (Google takes 1,800 characters) and holds
nothing of the person. Source: developers.google.com/wallet/generic/use-cases/jwt.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from google.auth import jwt
from google.oauth2 import service_account

from walletsvc.google.models import Kind

PATH: Final = "/gp/v/save/"
MOST_CHARACTERS: Final = 1800
_ARRAYS: Final = {Kind.LOYALTY: "loyaltyObjects", Kind.GIFT_CARD: "giftCardObjects"}


def save_link(
    credentials: service_account.Credentials,
    *,
    pay_url: str,
    origin: str,
    kind: Kind,
    object_id: str,
    class_id: str,
    now: datetime,
) -> str:
    """The address that offers the object to whoever follows it, signed by the service account.

    `pay_url` is Google's address for save links, `origin` the installation's own, where links may
    stand. Raises ValueError for ids so long that Google would not take the link.
    """
    claims = {
        "iss": credentials.service_account_email,
        "aud": "google",
        "typ": "savetowallet",
        "iat": int(now.timestamp()),
        "origins": [origin],
        "payload": {_ARRAYS[kind]: [{"id": object_id, "classId": class_id}]},
    }
    token = jwt.encode(credentials.signer, claims).decode()
    if len(token) > MOST_CHARACTERS:
        raise ValueError(f"a save link of {len(token)} characters is too long for Google")
    return f"{pay_url}{PATH}{token}"
