"""Facts about timelines that others may hear."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class FollowersKnow:
    """Every home of a popular author's followers was dropped since the author became popular.

    Whatever home is built from now on merges the author's tweets.
    """

    name: ClassVar[str] = "timelines.followers_know"
    account_id: int
