"""What other apps may ask of accounts. Takes and returns ids and bytes.

What writes is for commands that fill an empty database; apps publish events instead.
"""

from accounts.cache import CARDS, card_in, state_part
from accounts.exporting import LISTS as EXPORTED_LISTS
from accounts.exporting import profile as exported_profile
from accounts.limits import COUNTED, buckets
from accounts.relations import Relations, relations_part
from accounts.relations import filled as filled_relations
from accounts.rereads import gone_since
from accounts.rereads import is_due as is_reread_due
from accounts.selectors import (
    Reach,
    all_ids,
    cards,
    filled_cards,
    followees,
    follower_page,
    followers_between,
    imported_ids,
    popular_ids,
    reach_of,
    resolve_username,
    visible,
)
from accounts.services import create_admin, follow, sign_up
from accounts.tokens import claims_in

__all__ = [
    "CARDS",
    "COUNTED",
    "EXPORTED_LISTS",
    "Reach",
    "Relations",
    "all_ids",
    "buckets",
    "card_in",
    "cards",
    "claims_in",
    "create_admin",
    "exported_profile",
    "filled_cards",
    "filled_relations",
    "follow",
    "followees",
    "follower_page",
    "followers_between",
    "gone_since",
    "imported_ids",
    "is_reread_due",
    "popular_ids",
    "reach_of",
    "relations_part",
    "resolve_username",
    "sign_up",
    "state_part",
    "visible",
]
