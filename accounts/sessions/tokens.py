"""Access tokens, signed and verified without a look-up; refresh tokens, looked up by a digest."""

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jwt
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.crypto import salted_hmac

from twitter.base.data.ids import parse_id

ISSUER = "twitter"
# RFC 9068: tells an access token from any other JWT that the same keys may sign one day.
TYPE = "at+jwt"
ALGORITHM = "HS256"
# RFC 6750; the scheme's case does not matter.
SCHEME = "bearer"
MAX_LENGTH = 1_000
# Servers' clocks differ. A token may say that it was issued, or becomes valid (`nbf`), so far in
# the future. There is no leeway for when it expires.
LEEWAY_SECONDS = 60
# Bytes of randomness, and the characters that they take in unpadded base64.
FAMILY_BYTES, FAMILY_LENGTH = 16, 22


ROTATING_BYTES, ROTATING_LENGTH = 32, 43


# Separates what the signing keys derive here from what they sign elsewhere.
_SUCCESSOR = "accounts.tokens.RefreshToken.successors"


class InvalidToken(Exception):
    """Malformed, not signed by us, not yet valid, or expired."""


class ExpiredToken(InvalidToken):
    """It was valid, and has expired."""


class Claims(NamedTuple):
    """What an access token says. `expires_at` is in seconds since 1970."""

    account_id: int
    session_id: int
    generation: int
    expires_at: int


def claims_in(header: str) -> Claims | None:
    """Return what the token in an `Authorization` header says, or None if there is no valid one."""
    token = bearer_in(header)
    try:
        return None if token is None else verify_access_token(token)
    except InvalidToken:
        return None


def issue_access_token(*, account_id: int, session_id: int, generation: int) -> str:
    """Return a JWT that is valid for ACCESS_TOKEN_SECONDS."""
    kid, secret = next(iter(settings.JWT_SIGNING_KEYS.items()))
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": str(account_id),
        "sid": str(session_id),
        "gen": generation,
        "iat": now,
        "exp": now + settings.ACCESS_TOKEN_SECONDS,
    }
    return _encode(claims, kid=kid, secret=secret)


def _encode(claims: dict[str, Any], *, kid: str, secret: str) -> str:
    return jwt.encode(claims, secret, algorithm=ALGORITHM, headers={"kid": kid, "typ": TYPE})


def bearer_in(header: str) -> str | None:
    """Return the token of an `Authorization: Bearer <token>` header; None for anything else."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None


def verify_access_token(token: str) -> Claims:
    """Return what an access token of ours says; raises InvalidToken.

    If the only fault is that it has expired, that is ExpiredToken. The caller has to check whether
    its account and its session are still valid.

    A JWS (RFC 7515) with HMAC SHA-256. Its header must be one that we write, byte for byte: so
    there is no choice of algorithm, type or key that a token could make.
    """
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    secret = _secret_of(header)
    if secret is None or len(token) > MAX_LENGTH or not token.isascii():
        raise InvalidToken
    mac = hmac.digest(secret.encode(), signed.encode(), "sha256")
    if not secrets.compare_digest(signature, _base64(mac)):
        raise InvalidToken
    return _claims(payload)


def _secret_of(header: str) -> str | None:
    """Return the key that a header names; None if it is no header of ours."""
    for kid, secret in settings.JWT_SIGNING_KEYS.items():
        if header == _header(kid):
            return str(secret)
    return None


@cache
def _header(kid: str) -> str:
    """Return the header of the tokens that a key signs, as `issue_access_token` writes it."""
    return _encode({}, kid=kid, secret="0" * 32).partition(".")[0]


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _claims(payload: str) -> Claims:
    """Return what a signed payload says. RFC 7519 says which of it refuses the token."""
    now = time.time()
    try:
        said = json.loads(urlsafe_b64decode(payload + "=="))
        latest = now + LEEWAY_SECONDS
        since = max(_whole(said["iat"]), _whole(said.get("nbf", 0)))
        if said["iss"] != ISSUER or "aud" in said or since > latest:
            raise InvalidToken
        claims = Claims(
            account_id=parse_id(said["sub"]),
            session_id=parse_id(said["sid"]),
            generation=_whole(said["gen"]),
            expires_at=_whole(said["exp"]),
        )
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidToken from error
    if claims.expires_at <= now:
        raise ExpiredToken
    return claims


def _whole(number: object) -> int:
    # `int` would take "7", 7.9 and true as well, and we sign none of them.
    if type(number) is not int:
        raise InvalidToken
    return number


@dataclass(frozen=True)
class RefreshToken:
    """`<session id>.<family><rotating>`; see `models.Session`."""

    session_id: int
    family: str
    rotating: str

    def __str__(self) -> str:
        return f"{self.session_id}.{self.family}{self.rotating}"

    def successors(self) -> Iterator["RefreshToken"]:
        """Yield the token that this one is exchanged for, as each of JWT_SIGNING_KEYS derives it.

        Clients get the first. While keys are being rotated, they may have got one of the others. A
        successor is derived (HMAC, RFC 2104): so the service can give it once more, though only its
        digest is stored. Without the key, a thief of an earlier token cannot derive it.
        """
        for secret in settings.JWT_SIGNING_KEYS.values():
            mac = salted_hmac(_SUCCESSOR, str(self), secret=secret, algorithm="sha256")
            yield RefreshToken(self.session_id, self.family, _base64(mac.digest()))


def new_family() -> str:
    """Return the part of a refresh token that stays."""
    return secrets.token_urlsafe(FAMILY_BYTES)


def new_rotating() -> str:
    """Return the part of a session's first refresh token that changes at each use."""
    return secrets.token_urlsafe(ROTATING_BYTES)


def parse_refresh_token(text: str) -> RefreshToken | None:
    """Read a refresh token; None when it cannot be one."""
    number, _, secret = text.partition(".")
    if len(secret) != FAMILY_LENGTH + ROTATING_LENGTH or not secret.isascii():
        return None
    try:
        session_id = parse_id(number)
    except ValidationError:
        return None
    return RefreshToken(session_id, secret[:FAMILY_LENGTH], secret[FAMILY_LENGTH:])


def digest(secret: str) -> str:
    """Return the SHA-256 of a part of a refresh token, in hex: what is stored of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, stored: str) -> bool:
    """Compare a part of a refresh token with a stored digest, in constant time."""
    return secrets.compare_digest(digest(secret), stored)
