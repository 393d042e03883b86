"""Which account sends a request. A bearer token says so, without SQL if its state is cached."""

from dataclasses import dataclass
from typing import Any, ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.sessions import reads
from accounts.sessions.tokens import ExpiredToken, InvalidToken, bearer_in, verify_access_token
from twitter.base.http.problems import Kind
from twitter.base.observe import logging


@dataclass(frozen=True)
class Caller:
    """`request.user`: the account that acts, by its id only."""

    id: int
    session_id: int
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True

    @property
    def pk(self) -> int:
        """The account's id, as Django calls it."""
        return self.id


class Refused(AuthenticationFailed):
    """401: there is a token, and it is not valid."""

    def __init__(self, detail: str, *, kind: Kind = Kind.INVALID_TOKEN) -> None:
        super().__init__(detail)
        self.kind = kind


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer <access token>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the caller; None without a bearer token; raises AuthenticationFailed (401)."""
        token = bearer_in(request.META.get("HTTP_AUTHORIZATION", ""))
        if token is None:
            return None
        try:
            claims = verify_access_token(token)
        except ExpiredToken as error:
            raise Refused("The access token has expired.", kind=Kind.EXPIRED_TOKEN) from error
        except InvalidToken as error:
            raise Refused("The access token is not valid.") from error
        state = reads.account_state(claims.account_id)
        if not state.accepts(claims):
            raise Refused("The access token is no longer valid.")
        logging.note(account_id=claims.account_id)
        return Caller(id=claims.account_id, session_id=claims.session_id), None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that makes a refusal a 401."""
        return 'Bearer realm="api"'


def session_id(request: Request) -> int:
    """Return the id of the session that the token proves; the view requires authentication."""
    number: int = request.user.session_id  # type: ignore[union-attr]
    return number
