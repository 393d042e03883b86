"""Facts about timelines to which others may subscribe."""

from dataclasses import dataclass
from typing import ClassVar

from twitter.outbox.events import Event


@dataclass(frozen=True, kw_only=True)
class FollowersKnow(Event):
    """Every home of a popular author's followers was dropped since the author became popular.

    Every home that is built from now on merges the author's tweets.
    """

    name: ClassVar[str] = "timelines.followers_know"
    account_id: int


@dataclass(frozen=True, kw_only=True)
class LeftHomes(Event):
    """No home holds or merges what a deleted account wrote: tweets and follows may be purged."""

    name: ClassVar[str] = "timelines.left_homes"
    account_id: int
