"""Access tokens, signed and verified without a look-up; refresh tokens, looked up by a digest."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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


@dataclass(frozen=True)
class Claims:
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
    return jwt.encode(claims, secret, algorithm=ALGORITHM, headers={"kid": kid, "typ": TYPE})


def bearer_in(header: str) -> str | None:
    """Return the token of an `Authorization: Bearer <token>` header; None for anything else."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == SCHEME else None


def verify_access_token(token: str) -> Claims:
    """Return what an access token of ours says; raises InvalidToken.

    If the only fault is that it has expired, that is ExpiredToken. The caller has to check whether
    its account and its session are still valid.
    """
    if len(token) > MAX_LENGTH:
        raise InvalidToken
    claims = _verify_signature(token)
    if claims.expires_at <= time.time():
        raise ExpiredToken
    return claims


@lru_cache(maxsize=10_000)
def _verify_signature(token: str) -> Claims:
    # Cached because a client sends the same token again and again, and HMAC and JSON cost more
    # than the rest of the authentication. To remove a key takes a restart, which empties the cache.
    try:
        header = jwt.get_unverified_header(token)
        secret = settings.JWT_SIGNING_KEYS.get(header.get("kid", ""))
        if secret is None or header.get("typ") != TYPE:
            raise InvalidToken
        payload: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            # The caller checks `exp`, each time.
            options={
                "require": ["iss", "sub", "sid", "gen", "iat", "exp"],
                "verify_exp": False,
            },
        )
        return Claims(
            account_id=parse_id(payload["sub"]),
            session_id=parse_id(str(payload["sid"])),
            generation=_whole(payload["gen"]),
            expires_at=_whole(payload["exp"]),
        )
    except (jwt.InvalidTokenError, ValidationError, ValueError) as error:
        raise InvalidToken from error


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
            rotating = urlsafe_b64encode(mac.digest()).decode().rstrip("=")
            yield RefreshToken(self.session_id, self.family, rotating)


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
