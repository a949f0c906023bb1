"""The token endpoint: signed assertions in, access tokens out; and who a request comes from.

Tokens live by the real clock, not by the emulator's, since the client's assertions do.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from walletsvc.emulators.google.accounts import Accounts, ServiceAccount
from walletsvc.emulators.google.errors import GLOBAL, ApiError, Json, unauthenticated

SCOPE: Final = "https://www.googleapis.com/auth/wallet_object.issuer"
AUDIENCE: Final = "https://oauth2.googleapis.com/token"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME: Final = 3599
_LONGEST: Final = 3600
_LEEWAY: Final = 300


class BadJwt(Exception):
    """Not a JWT that this key signed; the text says why."""


class OAuthError(Exception):
    """A refusal of the token endpoint (status 400): RFC 6749's error and its description."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.body = orjson.dumps({"error": error, "error_description": description})


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadJwt("a part is not base64url") from error


def read_jwt(token: str) -> tuple[Json, Json, bytes, bytes]:
    """Header, claims, signature and what is signed, all unverified; raises BadJwt."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise BadJwt("it does not have three parts")
    header, claims = (_object(_decoded(part)) for part in parts[:2])
    return header, claims, _decoded(parts[2]), token.rpartition(".")[0].encode()


def _object(data: bytes) -> Json:
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadJwt("a part is not JSON") from error
    if not isinstance(value, dict):
        raise BadJwt("a part is not a JSON object")
    return value


def verify_jwt(token: str, accounts: Accounts) -> tuple[Json, ServiceAccount]:
    """The claims of a JWT that a known account signed by RS256; raises BadJwt."""
    header, claims, signature, signed = read_jwt(token)
    if header.get("alg") != "RS256":
        raise BadJwt("alg is not RS256")
    account = accounts.find(claims.get("iss"))
    if account is None:
        raise BadJwt("iss is not a known service account")
    if header.get("kid") not in (None, account.key_id):
        raise BadJwt("kid is not a key of this account")
    _verify(account.public_key, signature, signed)
    return claims, account


def _verify(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> None:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise BadJwt("the signature is wrong") from error


def is_time(value: object) -> TypeGuard[float]:
    """Whether a claim is a number of seconds."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(slots=True)
class _Token:
    email: str
    scopes: frozenset[str]
    until: float


class Tokens:
    """Access tokens in force; the caller holds the store's lock."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.clock = time.time
        self._tokens: dict[str, _Token] = {}
        self.lifetime = LIFETIME

    def grant(self, form: dict[str, str], own_url: str) -> tuple[Json, str]:
        """The answer to a form with an assertion, and whose it is; raises OAuthError."""
        if form.get("grant_type") != GRANT:
            raise OAuthError("unsupported_grant_type", f"Invalid grant_type; expected {GRANT}.")
        now = self.clock()
        try:
            claims, account = verify_jwt(form.get("assertion", ""), self._accounts)
        except BadJwt as error:
            raise OAuthError("invalid_grant", f"Invalid JWT: {error}.") from error
        if claims.get("aud") not in (AUDIENCE, own_url):
            raise OAuthError("invalid_grant", "Invalid JWT: aud is not the token endpoint.")
        issued, expires = claims.get("iat"), claims.get("exp")
        if not is_time(issued) or not is_time(expires):
            raise OAuthError("invalid_grant", "Invalid JWT: iat and exp are required.")
        if not (issued - _LEEWAY <= now < expires + _LEEWAY and expires - issued <= _LONGEST):
            raise OAuthError(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
                " timeframe. Check your iat and exp values in the JWT claim.",
            )
        scopes = frozenset(str(claims.get("scope") or "").split())
        if not scopes:
            raise OAuthError("invalid_scope", "Empty or missing scope not allowed.")
        token = f"ya29.{secrets.token_urlsafe(40)}"
        self._tokens[token] = _Token(account.email, scopes, now + self.lifetime)
        answer = {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
        return answer, account.email

    def identify(self, authorization: str | None) -> str:
        """The e-mail address behind a header; ApiError 401, or 403 for a lacking scope."""
        scheme, _, value = (authorization or "").partition(" ")
        token = self._tokens.get(value) if scheme.lower() == "bearer" else None
        if token is None or token.until <= self.clock():
            raise unauthenticated()
        if SCOPE not in token.scopes:
            raise ApiError(
                403,
                "insufficientPermissions",
                "Request had insufficient authentication scopes.",
                domain=GLOBAL,
            )
        return token.email

    def revoke(self, email: str | None = None) -> int:
        """End the tokens of one account, or all; returns how many there were."""
        ended = [key for key, token in self._tokens.items() if email in (None, token.email)]
        for key in ended:
            del self._tokens[key]
        return len(ended)
