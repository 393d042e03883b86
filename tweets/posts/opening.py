"""The first round trip of a post: all that it needs of Redis before PostgreSQL is asked."""

from collections.abc import Callable
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from accounts import facade as accounts
from twitter.base.data import parts
from twitter.base.http import limits
from twitter.base.observe import metrics

PATH = "/tweet/create"
_AUTHOR = "twitter.author"


class Author(NamedTuple):
    """An account that may post, and its card."""

    id: int
    card: bytes


def post_opened(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Ask Redis once for what the rate limits, the token's check and the answer need of it.

    Comes right before the rate limits. What is missing here is left to them and to the view.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info == PATH and request.method == "POST":
            _open(request)
        return get_response(request)

    return middleware


def _open(request: HttpRequest) -> None:
    claims = accounts.claims_in(request.META.get("HTTP_AUTHORIZATION", ""))
    if claims is None:
        return
    try:
        counted, state, card = parts.exchange(
            limits.part(accounts.buckets(request.META, claims=claims)),
            accounts.state_part(claims.account_id),
            accounts.card_part(claims.account_id),
        )
    except RedisError:
        return  # The rate limits try again, and count without Redis.
    request.META[accounts.COUNTED] = counted
    if card and state and state.accepts(claims):
        metrics.looked_up(hits=1, misses=0)
        request.META[_AUTHOR] = Author(claims.account_id, card)


def author_of(request: HttpRequest) -> Author | None:
    """Return who posts; None if that has to be found out."""
    author: Author | None = request.META.get(_AUTHOR)
    return author
