"""What other apps may ask of accounts: functions on ids, and frozen dataclasses.

A part (`twitter.base.data.parts`) holds the commands that read Redis, and the function that parses
the replies. So one round trip serves several apps, and no app knows the keys of another.

Functions that write are for commands that fill an empty database; apps publish events instead.
`VISIBLE_ID` is SQL that a writer's statement may hold.
"""

from accounts.declares import SUBJECTS
from accounts.graph.reads import (
    Reach,
    followees,
    follower_page,
    followers_between,
    followers_of_each,
    leavers,
    popular_ids,
    reach_of,
)
from accounts.graph.relations import Relations, relations_part
from accounts.graph.relations import filled as filled_relations
from accounts.graph.services import follow
from accounts.people.cards import card_part, cards_values
from accounts.people.declares import profile as exported_profile
from accounts.people.reads import (
    VISIBLE_ID,
    all_ids,
    cards,
    filled_cards,
    imported_ids,
    resolve_username,
    visible,
)
from accounts.people.services import create_admin, sign_up
from accounts.rereads import gone_since
from accounts.rereads import is_due as is_reread_due
from accounts.sessions.limits import COUNTED, buckets
from accounts.sessions.states import state_part
from accounts.sessions.tokens import claims_in

__all__ = [
    "COUNTED",
    "SUBJECTS",
    "VISIBLE_ID",
    "Reach",
    "Relations",
    "all_ids",
    "buckets",
    "card_part",
    "cards",
    "cards_values",
    "claims_in",
    "create_admin",
    "exported_profile",
    "filled_cards",
    "filled_relations",
    "follow",
    "followees",
    "follower_page",
    "followers_between",
    "followers_of_each",
    "gone_since",
    "imported_ids",
    "is_reread_due",
    "leavers",
    "popular_ids",
    "reach_of",
    "relations_part",
    "resolve_username",
    "sign_up",
    "state_part",
    "visible",
]
