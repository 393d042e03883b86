"""The models of tweets: each subject has its own, and all are imported from here."""

from tweets.posts.models import (
    FIRST_ANSWER_ACCOUNT_REFERENCE,
    METRICS_DELTA_TWEET_REFERENCE,
    TWEET_AUTHOR_REFERENCE,
    TWEET_ORIGINAL_REFERENCE,
    FirstAnswer,
    ImportedFile,
    Tombstone,
    Tweet,
    TweetMetrics,
    TweetMetricsDelta,
)
from tweets.reactions.models import (
    BOOKMARK_ACCOUNT_REFERENCE,
    LIKE_ACCOUNT_REFERENCE,
    LIKE_TWEET_REFERENCE,
    Bookmark,
    Like,
)

__all__ = [
    "BOOKMARK_ACCOUNT_REFERENCE",
    "FIRST_ANSWER_ACCOUNT_REFERENCE",
    "LIKE_ACCOUNT_REFERENCE",
    "LIKE_TWEET_REFERENCE",
    "METRICS_DELTA_TWEET_REFERENCE",
    "TWEET_AUTHOR_REFERENCE",
    "TWEET_ORIGINAL_REFERENCE",
    "Bookmark",
    "FirstAnswer",
    "ImportedFile",
    "Like",
    "Tombstone",
    "Tweet",
    "TweetMetrics",
    "TweetMetricsDelta",
]
