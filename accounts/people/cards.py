"""Cards: users as bytes. The serializer renders a card once; answers are joined from cards.

Cards are cached in Redis. After each change, a read that follows its commit replaces the card.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from accounts.people.serializers import UserSerializer
from twitter.base.data import parts, redis
from twitter.base.data.parts import Part, Values
from twitter.base.data.stamped import STAMP, Stamped
from twitter.base.http.renderers import to_json

# To be raised when the shape changes: tests/accounts/people/golden_user.json tells.
SHAPE_VERSION = 3
TTL_SECONDS = 86_400
CARDS = Stamped("account:card:", form=SHAPE_VERSION, seconds=TTL_SECONDS)
# What follows the stamp.
_body = itemgetter(slice(STAMP.size, None))
# One for all: making a serializer's fields costs more than using them.
_SERIALIZER = UserSerializer()


def render_card(profile: Any) -> bytes:
    """Return the public JSON of a `reads.Profile`."""
    return to_json(_SERIALIZER.to_representation(profile))


@dataclass(frozen=True)
class Card:
    """A rendered user, empty if the account is not visible.

    `read_at`: when PostgreSQL was asked, in microseconds of its clock.
    """

    body: bytes
    read_at: int


def card_part(account_id: int) -> Part[bytes | None]:
    """Return the part that reads a card; None when it is not cached."""
    return CARDS.part(account_id, parse=_body)


def cards_values(ids: Sequence[int]) -> Values[dict[int, bytes]]:
    """Return how to read the cached ones among these cards.

    The card of an account that is not visible is empty.
    """
    return CARDS.bodies(ids)


@redis.without_redis(dict)
def fetch_cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return the cached ones among these cards; empty for accounts that are not visible."""
    if not ids:
        return {}
    found: dict[int, bytes]
    [found] = parts.fetch_values(cards_values(list(ids)))
    return found


def store_cards(cards: Mapping[int, Card]) -> None:
    """Fill in cards that are not cached."""
    CARDS.fill(_packed(cards))


def replace_cards(cards: Mapping[int, Card]) -> None:
    """Overwrite cards that are older. Raises redis.RedisError."""
    CARDS.replace(_packed(cards))


def _packed(cards: Mapping[int, Card]) -> dict[int, bytes]:
    return {number: CARDS.stamp(card.body, read_at=card.read_at) for number, card in cards.items()}


def drop(account_id: int) -> None:
    """Delete the card of an account that is gone for good. Raises redis.RedisError."""
    CARDS.drop([account_id])
