"""What other apps may ask of accounts. Takes and returns ids and bytes.

What writes is for commands that fill an empty database; apps publish events instead.
"""

from accounts.selectors import (
    all_ids,
    cards,
    followee_ids,
    follower_page,
    followers_among,
    gone_followees,
    gone_since,
    imported_ids,
    resolve_username,
    visible,
)
from accounts.services import create_admin, follow, sign_up

__all__ = [
    "all_ids",
    "cards",
    "create_admin",
    "follow",
    "followee_ids",
    "follower_page",
    "followers_among",
    "gone_followees",
    "gone_since",
    "imported_ids",
    "resolve_username",
    "sign_up",
    "visible",
]
