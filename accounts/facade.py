"""What other apps may ask of accounts. Takes and returns ids and bytes.

What writes is for commands that fill an empty database; apps publish events instead.
"""

from accounts.cache import CARD_PREFIX, card_in, reading_state, state_in
from accounts.exporting import LISTS as EXPORTED_LISTS
from accounts.exporting import profile as exported_profile
from accounts.limits import COUNTED, buckets
from accounts.selectors import (
    Reach,
    all_ids,
    cards,
    followees,
    follower_page,
    followers_between,
    gone_followees,
    gone_since,
    imported_ids,
    popular_ids,
    reach_of,
    resolve_username,
    visible,
)
from accounts.services import create_admin, follow, sign_up
from accounts.tokens import Claims, claims_in

__all__ = [
    "CARD_PREFIX",
    "COUNTED",
    "EXPORTED_LISTS",
    "Claims",
    "Reach",
    "all_ids",
    "buckets",
    "card_in",
    "cards",
    "claims_in",
    "create_admin",
    "exported_profile",
    "follow",
    "followees",
    "follower_page",
    "followers_between",
    "gone_followees",
    "gone_since",
    "imported_ids",
    "popular_ids",
    "reach_of",
    "reading_state",
    "resolve_username",
    "sign_up",
    "state_in",
    "visible",
]
